"""The program of the embedded vector store, `python -m cli.store_process`."""
