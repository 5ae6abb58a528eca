"""The API over a queue in memory, and commands that ask it."""

import io
import os
import pty
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple, TextIO

import msgspec
import pytest

from api.app import create_app
from cli.main import main
from jobs.settings import Settings
from tests.support.console.server import serving
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL

ALIAS = msgspec.structs.replace(MODEL, id="vectors", of=MODEL.id)


class Said(NamedTuple):
    code: int
    out: str
    err: str


Ask = Callable[..., Said]


@pytest.fixture(scope="module")
def queue() -> MemoryQueue:
    return MemoryQueue(models=(MODEL, PAGE_MODEL, CHAT_MODEL, RERANK_MODEL, ALIAS))


@pytest.fixture(scope="module")
def url(queue: MemoryQueue) -> Iterator[str]:
    with serving(create_app(queue, Settings())) as url:
        yield url


class _Typed(io.StringIO):
    """A terminal's lines."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """A terminal at which nobody types."""
    ours, theirs = pty.openpty()
    with open(theirs) as opened:
        yield opened
    os.close(ours)


@pytest.fixture
def ask(
    request: pytest.FixtureRequest,
    terminal: TextIO,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ask:
    """Runs `mlxq` with these arguments. stdin: what is piped in; else it is a terminal, at which `typed` is typed.
    port: of another server than the API over `queue`.
    """

    def run(
        *arguments: str, stdin: str | bytes | None = None, typed: str | None = None, port: str | None = None
    ) -> Said:
        at = terminal if typed is None else _Typed(typed)
        data = stdin.encode() if isinstance(stdin, str) else stdin
        piped = at if data is None else io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr(sys, "stdin", piped)
        monkeypatch.setenv("MLXQ_PORT", port or request.getfixturevalue("url").rpartition(":")[2])
        code = main(arguments)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run
