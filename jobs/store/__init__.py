"""How jobs are stored in Redis (keys, records, scripts), and how Redis is started, connected to and checked."""
