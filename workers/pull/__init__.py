"""Models from the hub onto this machine: downloaded with resume, checked, and quantised where that is asked for."""
