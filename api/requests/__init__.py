"""What all dialects share of requests: bodies are read, checked and turned into jobs."""
