"""How soon commands answer."""
