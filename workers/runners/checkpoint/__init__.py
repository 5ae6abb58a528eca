"""A model's folder: its files, its weights, its architecture."""
