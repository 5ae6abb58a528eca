"""`mlxq pull --on MACHINE`: the server tells a machine to pull, and what it says is shown."""

import argparse
import sys

import msgspec

from cli.cannot_do import CannotDo
from cli.client.address import server_address
from cli.client.server import Server
from cli.pull.display import Display
from jobs.machines.commands import Progress


class _Line(msgspec.Struct, frozen=True):
    """Of /api/pull."""

    status: str = ""
    error: str = ""
    digest: str = ""
    total: int | None = None
    completed: int | None = None
    machine: str = ""

    def update(self) -> Progress:
        """As of one machine alone: files of several are told apart."""
        where = f"{self.machine}: " if self.machine else ""
        digest = f"{where}{self.digest}" if self.digest else ""
        return Progress(
            status=f"{where}{self.status}", digest=digest, total=self.total, completed=self.completed
        )


def pull_on(options: argparse.Namespace) -> int:
    """Ctrl-C ends it, unless others follow the same pull. Raises CannotDo."""
    display = Display(sys.stderr)
    last = _Line()
    try:
        with Server(server_address(options.url)).stream("/api/pull", _body(options)) as lines:
            for line in lines:
                last = msgspec.json.decode(line, type=_Line)
                if options.json:
                    print(line.decode().rstrip(), flush=True)
                elif not last.error:
                    display(last.update())
    except KeyboardInterrupt:
        display.close()
        print(
            "The pull was canceled. What was downloaded is kept: pull again to go on from there.",
            file=sys.stderr,
        )
        return 130
    finally:
        display.close()
    if last.status != "success":
        raise CannotDo(last.error or "The server broke off. Pull again: it goes on where it was.")
    if not options.json:
        print(options.name or options.model)
    return 0


def _body(options: argparse.Namespace) -> dict[str, str]:
    given = {
        "model": options.model,
        "on": options.on,
        "rename": options.name,
        "type": options.type,
        "quantize": options.quantize,
        "revision": options.revision,
    }
    return {field: value for field, value in given.items() if value}
