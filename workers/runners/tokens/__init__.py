"""A model's own tokenizer."""
