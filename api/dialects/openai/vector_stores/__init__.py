"""OpenAI's vector stores: collections under another name."""
