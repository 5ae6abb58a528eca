"""What an ingest is connected to: the workers, the store, the pipeline between them."""
