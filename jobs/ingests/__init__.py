"""Ingests that run and that ran: the contract between who shows and begins them (api) and who knows (cli, ingest)."""
