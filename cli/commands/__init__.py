"""What each subcommand of `mlxq` does: one file for one subcommand."""
