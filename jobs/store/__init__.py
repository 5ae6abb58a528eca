"""How jobs lie in Redis: keys, records and scripts; how it is reached, started and found wanting."""
