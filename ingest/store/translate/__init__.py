"""From the words of Qdrant's API to those of qdrant-edge."""
