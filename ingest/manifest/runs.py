"""Ingests that run and that have run: who, how far, since when."""

import os
import time

import msgspec

from ingest.manifest.database import Database
from jobs.ingests.run import RunProgress, RunState

HEARTBEAT_S = 1.0
DEAD_AFTER_S = 30.0
"""A run that says nothing for so long is dead, or its machine was asleep."""

KEPT = 200
"""Runs that are remembered."""


class Run(msgspec.Struct, frozen=True):
    """An ingest."""

    id: int
    collection: str
    request: str
    """As the command line would say it."""
    pid: int
    started_at: float
    heartbeat_at: float
    ended_at: float | None
    state: RunState
    progress: RunProgress

    def is_alive(self, now: float) -> bool:
        """Whether it goes on: a run that was killed never said that it ended."""
        return self.state == "running" and now - self.heartbeat_at < DEAD_AFTER_S and _lives(self.pid)


class RunRecords:
    """Written by the run itself, read by everyone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, collection: str, request: str) -> int:
        """Returns the run's id."""
        with self._database.transaction():
            now = time.time()
            run = self._database.insert(
                "INSERT INTO runs (collection, request, pid, started_at, heartbeat_at, state, progress) "
                "VALUES (?, ?, ?, ?, ?, 'running', ?)",
                *(collection, request, os.getpid(), now, now, msgspec.json.encode(RunProgress())),
            )
            self._database.write("DELETE FROM runs WHERE id <= ?", run - KEPT)
            return run

    def report(self, run: int, progress: RunProgress) -> None:
        """Every HEARTBEAT_S or so, also while nothing moves."""
        self._database.write(
            "UPDATE runs SET heartbeat_at = ?, progress = ? WHERE id = ?",
            *(time.time(), msgspec.json.encode(progress), run),
        )

    def end(self, run: int, state: RunState, progress: RunProgress) -> None:
        """It is over."""
        now = time.time()
        self._database.write(
            "UPDATE runs SET heartbeat_at = ?, ended_at = ?, state = ?, progress = ? WHERE id = ?",
            *(now, now, state, msgspec.json.encode(progress), run),
        )

    def list(self, collection: str | None = None, limit: int = 20) -> list[Run]:
        """Newest first."""
        rows = self._database.read(
            "SELECT id, collection, request, pid, started_at, heartbeat_at, ended_at, state, progress FROM runs "
            "WHERE ?1 IS NULL OR collection = ?1 ORDER BY id DESC LIMIT ?2",
            *(collection, limit),
        )
        return [Run(*row[:-1], progress=msgspec.json.decode(row[-1], type=RunProgress)) for row in rows]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
