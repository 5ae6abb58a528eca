"""Cohere's dialect: /v2/rerank, and its part of /v1/rerank."""
