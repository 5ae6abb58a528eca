"""Which model a name means, how it is opened, and which models are in memory."""
