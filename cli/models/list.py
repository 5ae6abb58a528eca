"""`mlxq list`: the models that there are."""

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from cli.client.replies import Model, Models
from cli.client.server import Server
from cli.models.offline import asked
from cli.models.printing import listed, print_json, print_table
from cli.tables.units import age, moment, size
from jobs.catalogue.names import without_latest

HEADS = ("NAME", "ID", "SIZE", "MODIFIED")


def list(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    prefix: str = options.prefix
    if options.json:
        return print_json(
            asked(
                options,
                lambda server: listed(server, "/api/tags", prefix),
                lambda here: msgspec.json.encode(Models(_beginning(here.models(), prefix))),
            )
        )
    found = asked(options, lambda server: server.get("/api/tags", Models).models, lambda here: here.models())
    models = _beginning(found, prefix)
    if options.quiet:
        for model in models:
            print(without_latest(model.name))
        return 0
    return print_models(models)


def list_models(server: Server) -> int:
    """Prints them. Raises CannotDo."""
    return print_models(server.get("/api/tags", Models).models)


def print_models(models: Iterable[Model]) -> int:
    """Returns the exit code."""
    now = datetime.now(UTC)
    rows = [
        (each.name, each.digest[:12] or "-", size(each.size), age(moment(each.modified_at), now))
        for each in models
    ]
    return print_table(HEADS, rows)


def _beginning(models: Iterable[Model], prefix: str) -> tuple[Model, ...]:
    return tuple(model for model in models if model.name.startswith(prefix))
