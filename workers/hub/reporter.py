"""How far a pull is, told by several threads and not too often."""

import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

from jobs.machines.commands import Progress
from workers.hub.listing import RemoteFile
from workers.hub.problem import Canceled

INTERVAL_S = 0.25
"""How often one file's progress is told at most."""

DIGEST_CHARACTERS = 12


Tell = Callable[[Progress], None]


class Printer:
    """Writes lines of JSON, each at once."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._has_ended = False

    def __call__(self, line: Progress) -> None:
        self._print(line)

    def last(self, line: Progress) -> None:
        """Nothing comes after it."""
        self._print(line, ends=True)

    def _print(self, line: Progress, *, ends: bool = False) -> None:
        with self._lock:
            if not self._has_ended:
                self._output.write(msgspec.json.encode(line) + b"\n")
            self._has_ended = self._has_ended or ends


class Reporter:
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
            self._tell(Progress(status=status, **fields))

    def at(self, file: RemoteFile, have: int) -> None:
        """How many bytes of a file are here. Told at most every interval_s, and when it is complete."""
        digest, now = f"{file.kind}:{file.digest}", time.monotonic()
        with self._lock:
            is_due = now - self._told.get(digest, float("-inf")) >= self._interval_s
            if not is_due and have < file.size_bytes:
                return
            self._told[digest] = now
            status = f"pulling {file.digest[:DIGEST_CHARACTERS]}"
            self._tell(
                Progress(status=status, digest=digest, total=file.size_bytes, completed=have, file=file.path)
            )
