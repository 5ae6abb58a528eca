"""`mlxq stop`: models leave the memory."""

import argparse

from cli.client.server import server_of


def stop(options: argparse.Namespace) -> int:
    """Every worker is told; running answers end first. Raises CannotDo."""
    server = server_of(options)
    for model in options.models:
        server.send("POST", "/api/generate", {"model": model, "keep_alive": 0, "stream": False}, works=True)
    return 0
