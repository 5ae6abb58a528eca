"""`mlxq pull`: a model comes onto this machine, told as it comes."""

import argparse
import sys
from collections.abc import Iterator

import msgspec

from cli.cannot_do import CannotDo
from cli.pull.child import PullProcess
from cli.pull.display import Display
from jobs.errors import JobCanceled
from jobs.machines.commands import Progress
from jobs.settings import Settings


def pull(settings: Settings, options: argparse.Namespace) -> int:
    """What was pulled is named on standard output. Ctrl-C ends it, and keeps what came. Raises CannotDo."""
    process = PullProcess(settings, _arguments(options), computes=options.quantize is not None)
    display = Display(sys.stderr)
    last = Progress()
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
    if last.code == JobCanceled.code:
        print(last.sentence, file=sys.stderr)
        return 130
    if last.error:
        raise CannotDo(last.sentence)
    if not options.json:
        print(last.name)
    return 0


def _tell(line: Progress, display: Display, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(line).decode(), flush=True)
    elif not line.error:
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
