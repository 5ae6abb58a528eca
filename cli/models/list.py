"""`mlxq list`: the models that there are."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

from cli.client.replies import Model, Models
from cli.client.server import Server, server_of
from cli.models.printing import print_models, print_table
from cli.tables.units import age, moment, size
from jobs.catalogue.names import without_latest

HEADS = ("NAME", "ID", "SIZE", "MODIFIED")


def list(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    server = server_of(options)
    if options.json:
        return print_models(server, "/api/tags", options.prefix)
    if options.quiet:
        for model in _models(server, options.prefix):
            print(without_latest(model.name))
        return 0
    return list_models(server, options.prefix)


def list_models(server: Server, prefix: str) -> int:
    """Prints those whose names begin so. Raises CannotDo."""
    now = datetime.now(UTC)
    rows = [
        (each.name, each.digest[:12], size(each.size), age(moment(each.modified_at), now))
        for each in _models(server, prefix)
    ]
    return print_table(HEADS, rows)


def _models(server: Server, prefix: str) -> Iterator[Model]:
    return (each for each in server.get("/api/tags", Models).models if each.name.startswith(prefix))
