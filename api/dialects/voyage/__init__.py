"""Voyage AI's dialect: its reranking, and its errors. Its embeddings are OpenAI's with fields of its own."""
