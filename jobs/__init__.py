"""What a job is and how it travels: the contract between api, workers and ingest.

Imports no MLX, no FastAPI, no Qdrant.
"""
