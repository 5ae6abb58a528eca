"""`mlxq pull`: a model comes onto this machine, told as it comes."""

import argparse
import sys
from collections.abc import Iterator

import msgspec

from cli.cannot_do import CannotDo
from cli.pull.child import PullProcess
from cli.pull.display import Display
from jobs.catalogue.pull import CANCELED, PullFailed, PullUpdate
from jobs.settings import Settings


def pull(settings: Settings, options: argparse.Namespace) -> int:
    """What was pulled is named on standard output. Ctrl-C ends it, and keeps what came. Raises CannotDo."""
    process = PullProcess(settings, _arguments(options), computes=options.quantize is not None)
    display = Display(sys.stderr)
    last: PullUpdate | PullFailed | None = None
    try:
        try:
            for last in process:
                _tell(last, display, as_json=options.json)
        except KeyboardInterrupt:
            process.cancel()
            for last in process:
                _tell(last, display, as_json=options.json)
    finally:
        display.close()
        process.close()
    if isinstance(last, PullFailed):
        if last.code == CANCELED:
            print(last.error, file=sys.stderr)
            return 130
        raise CannotDo(last.error)
    if last is not None and not options.json:
        print(last.name)
    return 0


def _tell(line: PullUpdate | PullFailed, display: Display, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(line).decode(), flush=True)
    elif isinstance(line, PullUpdate):
        display(line)


def _arguments(options: argparse.Namespace) -> list[str]:
    return [*_pairs(options), "--", options.model]


def _pairs(options: argparse.Namespace) -> Iterator[str]:
    for name, value in (
        ("as", options.name),
        ("type", options.type),
        ("quantize", options.quantize),
        ("revision", options.revision),
    ):
        if value:
            yield f"--{name}={value}"
