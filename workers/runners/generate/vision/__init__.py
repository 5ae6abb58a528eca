"""Vision-language models that write answers."""
