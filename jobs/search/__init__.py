"""Searching collections of pages: the contract between who asks (api, cli) and who searches (ingest)."""
