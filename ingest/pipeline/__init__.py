"""From documents to points: read, embedded through the queue, stored, written down. Every stage is bounded."""
