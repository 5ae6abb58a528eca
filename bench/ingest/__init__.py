"""Ingest without a model: what the way of a page costs by itself."""
