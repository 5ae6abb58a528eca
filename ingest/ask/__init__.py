"""Answers to questions, from the pages that a search finds."""
