"""`mlxq ps`: the models in memory."""

import argparse
from datetime import UTC, datetime

from cli.client.replies import Model, Models
from cli.client.server import server_of
from cli.models.printing import listed, print_json, print_table
from cli.tables.units import age, moment, size

HEADS = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")


def ps(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    server = server_of(options)
    if options.json:
        return print_json(listed(server, "/api/ps", options.prefix))
    now = datetime.now(UTC)
    found = server.get("/api/ps", Models).models
    return print_table(HEADS, [_row(model, now) for model in found if model.name.startswith(options.prefix)])


def _row(model: Model, now: datetime) -> tuple[str, ...]:
    context = str(model.context_length) if model.context_length else "-"
    return (
        model.name,
        model.digest[:12] or "-",
        size(model.size),
        _processor(model),
        context,
        _until(model, now),
    )


def _processor(model: Model) -> str:
    if model.size_vram == 0:
        return "100% CPU"
    if model.size_vram >= model.size:
        return "100% GPU"
    share = round(100 * (model.size - model.size_vram) / model.size)
    return f"{share}%/{100 - share}% CPU/GPU"


def _until(model: Model, now: datetime) -> str:
    leaves = moment(model.expires_at)
    return "Stopping..." if leaves <= now else age(leaves, now)
