"""How everyone reaches the collections: with qdrant-client, whether Qdrant is a server or our embedded store."""
