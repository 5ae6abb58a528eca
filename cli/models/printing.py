"""How commands on models print what they found. What prints returns the exit code."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from cli.client.server import Server
from cli.tables.table import table


def print_json(text: bytes) -> int:
    """text: JSON."""
    print(text.decode().rstrip())
    return 0


def listed(server: Server, path: str, prefix: str) -> bytes:
    """The JSON of a list, of models whose names begin so. Raises CannotDo."""
    found = server.get(path, dict[str, list[dict[str, Any]]])["models"]
    kept = [model for model in found if str(model.get("name", "")).startswith(prefix)]
    return msgspec.json.encode({"models": kept})


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    for line in table(heads, rows):
        print(line)
    return 0
