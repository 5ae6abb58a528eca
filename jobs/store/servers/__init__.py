"""Kinds of Redis servers: how each is found, and what mlxq asks of it."""
