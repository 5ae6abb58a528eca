"""Jina's dialect: /v1/rerank."""
