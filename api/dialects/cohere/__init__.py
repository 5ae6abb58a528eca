"""Cohere's dialect: /v2/rerank, /v2/embed, /v1/embed, and its part of /v1/rerank."""
