"""`mlxq run`: one answer, or a conversation at a terminal, as people know it from Ollama."""
