"""Folders of documents into collections of vectors, and found again."""
