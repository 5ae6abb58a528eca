"""What a caller asks for: bodies are read, checked and put into the forms of jobs. Shared by all dialects."""
