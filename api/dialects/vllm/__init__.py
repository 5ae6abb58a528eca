"""vLLM's dialect: /v1/score."""
