"""Searching, and what it finds."""
