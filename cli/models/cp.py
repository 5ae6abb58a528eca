"""`mlxq cp`: one more name for a model."""

import argparse

from cli.client.server import Server
from cli.models.offline import Offline, asked


def cp(options: argparse.Namespace) -> int:
    """No file is copied. Raises CannotDo."""

    def online(server: Server) -> None:
        server.send("POST", "/api/copy", {"source": options.source, "destination": options.name}, works=True)

    def offline(here: Offline) -> None:
        from jobs.machines.commands import CopyModel  # slow to import, and the server needs none of it

        here.change(CopyModel(source=here.meant(options.source), name=options.name))

    asked(options, online, offline)
    print(f"copied '{options.source}' to '{options.name}'")
    return 0
