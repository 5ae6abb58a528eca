"""The collections that ingest fills and search reads: what they are made of, and how points go in and out."""
