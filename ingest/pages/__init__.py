"""Pages of ingested documents as viewers show them: found by content, drawn, read."""
