"""The options of each command. Values stay texts: Settings checks them, also those of variables."""
