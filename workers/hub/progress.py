"""What is told while a model is pulled: one JSON object a line, in Ollama's words."""

import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

from workers.hub.problem import Canceled, PullError

INTERVAL_S = 0.25
"""How often one file's progress is told at most."""

DIGEST_CHARACTERS = 12


class Update(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line. The last one has the status "success", or is a Failed."""

    status: str
    digest: str = ""
    """Of the file that it is about, as sha256:… or git:…"""
    total: int = 0
    """Bytes: of that file or, with the status "pulling manifest", of all that is to be downloaded."""
    completed: int = 0
    file: str = ""
    """Its path in the repository."""
    name: str = ""
    """With "success": under which name it is in the catalogue now."""
    figures: dict[str, float] = {}
    """How far a quantised model agrees with the full one."""


class Failed(msgspec.Struct, frozen=True):
    """The last line of a pull that failed."""

    error: str
    """What is wrong and what to do."""
    code: str
    hint: str
    """What to do."""

    @classmethod
    def of(cls, error: PullError) -> "Failed":
        return cls(str(error), error.code, error.hint)


Tell = Callable[[Update], None]


class Printer:
    """Writes lines of JSON, each at once."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._has_ended = False

    def __call__(self, line: Update) -> None:
        self._print(line)

    def last(self, line: Failed) -> None:
        """Nothing comes after it."""
        self._print(line, ends=True)

    def _print(self, line: Update | Failed, *, ends: bool = False) -> None:
        with self._lock:
            if not self._has_ended:
                self._output.write(msgspec.json.encode(line) + b"\n")
            self._has_ended = self._has_ended or ends


class Progress:
    """Of one pull, whose files are downloaded by several threads. Also how these learn that it was canceled."""

    def __init__(self, tell: Tell, *, interval_s: float = INTERVAL_S) -> None:
        self._tell = tell
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._canceled = threading.Event()

    def cancel(self) -> None:
        """From another thread or a signal: every thread of the pull raises Canceled at its next step."""
        self._canceled.set()

    def check(self) -> None:
        """Raises Canceled."""
        if self._canceled.is_set():
            raise Canceled

    def pause(self, seconds: float) -> None:
        """Raises Canceled, then at once."""
        self._canceled.wait(seconds)
        self.check()

    def say(self, status: str, **fields: Any) -> None:
        """Once, whenever it is."""
        with self._lock:
            self._tell(Update(status, **fields))

    def at(self, status: str, digest: str, completed: int, total: int, file: str) -> None:
        """How far a file is. Told at most every interval_s, and when it is complete."""
        now = time.monotonic()
        with self._lock:
            if completed < total and now - self._told.get(digest, float("-inf")) < self._interval_s:
                return
            self._told[digest] = now
            self._tell(Update(status, digest, total, completed, file))
