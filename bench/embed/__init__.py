"""Embedding and reranking on this machine's device, against the same models in process."""
