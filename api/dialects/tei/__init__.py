"""The dialect of Hugging Face's text-embeddings-inference: /embed, and its part of /rerank."""
