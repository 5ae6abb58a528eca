"""`mlxq stop`: models leave the memory."""

import argparse

from cli.client.replies import Shown
from cli.client.server import Server, server_of


def stop(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    server = server_of(options)
    for model in options.models:
        _unload(server, model)
    return 0


def _unload(server: Server, model: str) -> None:
    shown = server.post("/api/show", {"model": model}, Shown)
    path = "/api/generate" if "completion" in shown.capabilities else "/api/embed"
    server.send("POST", path, {"model": model, "keep_alive": 0, "stream": False}, works=True)
