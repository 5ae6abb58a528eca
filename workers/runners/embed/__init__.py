"""Texts and pages in, one vector each out."""
