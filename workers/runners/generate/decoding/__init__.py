"""Continuous batching: prefill, sampling, speculation."""
