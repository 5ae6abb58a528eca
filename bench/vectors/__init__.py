"""Searching pages in the embedded store, with made-up vectors."""
