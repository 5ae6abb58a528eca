"""Queries and documents in, scores out."""
