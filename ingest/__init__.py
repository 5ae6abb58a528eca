"""Who asks in bulk."""
