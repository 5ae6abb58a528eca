"""Commands on models. They speak with the running server, and start at once: what they import is light."""
