"""`mlxq pull`, in a process of its own: a model comes onto this machine, is quantised if asked, and gets its name."""
