"""`mlxq ingest`: what it asks for, what it does in which order, and what is seen of it."""
