"""`mlxq alias`: other names for models, with defaults of their own."""

import argparse
from collections.abc import Iterable

import msgspec

from cli.cannot_do import CannotDo
from cli.client.parameters import parameters_of
from cli.client.replies import Model, Models
from cli.client.server import Server
from cli.models.offline import Offline, asked
from cli.models.printing import print_json, print_table
from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.names import without_latest

HEADS = ("NAME", "MODEL")


def alias(options: argparse.Namespace) -> int:
    """Makes one or, without a name, lists them. Raises CannotDo."""
    if not options.name:
        return _list(options)
    if not options.model:
        raise CannotDo(f"Say what {options.name} stands for: mlxq alias {options.name} MODEL.")
    parameters = parameters_of(options.parameter or [])
    system = options.system or ""

    def online(server: Server) -> None:
        body: dict[str, object] = {"model": options.name, "from": options.model, "stream": False}
        server.send(
            "POST",
            "/api/create",
            body
            | ({"system": system} if system else {})
            | ({"parameters": parameters} if parameters else {}),
            works=True,
        )

    def offline(here: Offline) -> None:
        from jobs.machines.commands import CreateModel  # slow to import, and the server needs none of it

        defaults = msgspec.convert({"system": system, "parameters": parameters}, ModelDefaults)
        here.change(CreateModel(name=options.name, source=here.meant(options.model), defaults=defaults))

    asked(options, online, offline)
    print(f"'{options.name}' is '{options.model}'")
    return 0


def _list(options: argparse.Namespace) -> int:
    def online(server: Server) -> Iterable[Model]:
        return server.get("/api/tags", Models).models

    def offline(here: Offline) -> Iterable[Model]:
        return here.models()

    rows = [
        (without_latest(model.name), without_latest(model.details.parent_model))
        for model in asked(options, online, offline)
        if model.details.parent_model
    ]
    if options.json:
        return print_json(
            msgspec.json.encode([dict(zip(("name", "model"), row, strict=True)) for row in rows])
        )
    return print_table(HEADS, rows)
