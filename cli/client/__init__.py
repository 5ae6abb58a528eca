"""How commands on models speak with the running server: plain HTTP, and nothing that is slow to import."""
