"""Texts in, one vector each out."""
