"""Queries as vectors: jobs that a search waits for."""
