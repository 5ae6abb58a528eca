"""What was ingested, kept in SQLite beside the collections."""
