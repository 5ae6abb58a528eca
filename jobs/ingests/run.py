"""An ingest, and how far it is."""

from typing import Literal

import msgspec

RunState = Literal["running", "done", "stopped", "failed"]


class StageProgress(msgspec.Struct, frozen=True):
    """One stage of a run."""

    name: str
    done: int = 0
    total: int | None = None
    """None: not known yet."""
    unit: str = "pages"
    per_s: float = 0.0
    """Of late."""


class RunProgress(msgspec.Struct, frozen=True):
    """How far a run is."""

    stages: tuple[StageProgress, ...] = ()
    held_up_by: str = ""
    """The stage that the others wait for. Empty: not known."""
    eta_s: float | None = None
    documents_done: int = 0
    documents_skipped: int = 0
    """They were done before."""
    documents_failed: int = 0
    pages_failed: int = 0
    paths_moved: int = 0
    message: str = ""
    """What it waits for, or why it ended."""


class IngestRun(msgspec.Struct, frozen=True):
    """An ingest, as it is shown."""

    id: int
    collection: str
    request: str
    """As the command line would say it."""
    started_at: float
    """In seconds since the epoch, as all times here."""
    ended_at: float | None
    """None: not yet, or nobody knows."""
    state: RunState | Literal["lost"]
    """lost: it was killed, and never said that it ended."""
    progress: RunProgress
