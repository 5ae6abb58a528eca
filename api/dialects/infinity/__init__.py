"""What infinity has besides OpenAI's dialect: /models with figures, /embeddings_image."""
