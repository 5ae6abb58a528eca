"""The embedded vector store: a process that answers a subset of Qdrant's REST API over folders of qdrant-edge."""
