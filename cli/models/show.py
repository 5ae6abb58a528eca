"""`mlxq show`: what a model is, and what it can do."""

import argparse
from collections.abc import Iterator, Sequence

import msgspec

from cli.client.replies import Shown
from cli.models.offline import Offline, asked, shown_of
from cli.models.printing import print_json
from cli.tables.printable import printable
from cli.tables.table import GAP, width

PARTS = ("license", "modelfile", "parameters", "system", "template")
_NONE = {
    "license": "No license was specified for this model.",
    "parameters": "No additional parameters were specified for this model.",
    "system": "No system message was specified for this model.",
    "template": "No prompt template was specified for this model.",
    "modelfile": "No Modelfile was specified for this model.",
}
_LICENSE_LINES = 2


def show(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    body = {"model": options.model}

    def offline(here: Offline) -> Shown:
        entry = here.find(options.model)
        return shown_of(entry, here.catalogue().find_root(entry.name) or entry)

    if options.json:
        text = asked(
            options,
            lambda server: server.send("POST", "/api/show", body),
            lambda here: msgspec.json.encode(offline(here)),
        )
        return print_json(text)
    shown = asked(options, lambda server: server.post("/api/show", body, Shown), offline)
    print(printable(getattr(shown, options.part)) if options.part else show_part(shown, "info"))
    return 0


def show_part(shown: Shown, part: str) -> str:
    """part: info, or one of PARTS; what there is none of is said."""
    if part == "info":
        return printable("\n".join(_info(shown)))
    return printable(getattr(shown, part) or _NONE[part])


def _info(shown: Shown) -> Iterator[str]:
    details = shown.details
    model = (
        ("architecture", shown.info("architecture") or details.family),
        ("parameters", details.parameter_size),
        ("context length", shown.info("context_length")),
        ("embedding length", shown.info("embedding_length")),
        ("quantization", details.quantization_level),
    )
    yield from _section("Model", [row for row in model if row[1]])
    yield from _section("Capabilities", [(each,) for each in shown.capabilities])
    yield from _section("Parameters", [tuple(line.split(None, 1)) for line in shown.parameters.splitlines()])
    yield from _section("System", [(line,) for line in shown.system.splitlines()])
    yield from _section("License", [(line,) for line in shown.license.splitlines()[:_LICENSE_LINES]])


def _section(head: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    first = max(width(row[0]) for row in rows)
    yield f"  {head}"
    for name, *rest in rows:
        yield f"{GAP}{name}{' ' * (first - width(name))}{GAP}{' '.join(rest)}".rstrip()
    yield ""
