"""Ingests as their page shows them."""

import time
from typing import NamedTuple
from urllib.parse import urlencode

from api.ui.formats import age, amount, duration, number
from jobs.ingests.run import IngestRun, StageProgress

STATES = {
    "running": "running",
    "done": "done",
    "stopped": "stopped",
    "failed": "failed",
    "lost": "killed",
}
"""As people read them."""


class StageView(NamedTuple):
    """One stage of a run."""

    name: str
    done: int
    total: int | None
    amount: str
    rate: str
    is_slowest: bool
    """The others wait for it."""


class RunView(NamedTuple):
    """A run, in words."""

    id: int
    collection: str
    request: str
    state: str
    """A key of STATES: styles go by it."""
    state_text: str
    is_running: bool
    since: str
    took: str
    left: str
    """How long it will still take. Empty: not known."""
    held_up_by: str
    stages: tuple[StageView, ...]
    counts: tuple[str, ...]
    failed: int
    """Documents and pages."""
    message: str


def problems_url(collection: str) -> str:
    """Of the page with all that went wrong in a collection."""
    return "/ui/ingest/problems?" + urlencode({"collection": collection})


def run_view(run: IngestRun, now: float | None = None) -> RunView:
    """now: in seconds since the epoch."""
    progress = run.progress
    now = time.time() if now is None else now
    is_running = run.state == "running"
    return RunView(
        id=run.id,
        collection=run.collection,
        request=run.request,
        state=run.state,
        state_text=STATES[run.state],
        is_running=is_running,
        since=age(now - run.started_at),
        took=""
        if run.ended_at is None and not is_running
        else duration((run.ended_at or now) - run.started_at),
        left=duration(progress.eta_s) if is_running and progress.eta_s is not None else "",
        held_up_by=progress.held_up_by if is_running else "",
        stages=tuple(_stage(each, progress.held_up_by, is_running=is_running) for each in progress.stages),
        counts=tuple(_counts(run)),
        failed=progress.documents_failed + progress.pages_failed,
        message=progress.message,
    )


def _counts(run: IngestRun) -> list[str]:
    progress = run.progress
    counted = (
        (progress.documents_done, "{} ingested", "document"),
        (progress.documents_skipped, "{} already there", "document"),
        (progress.paths_moved, "{} moved", "file"),
        (progress.documents_failed, "{} failed", "document"),
        (progress.pages_failed, "{} failed", "page"),
    )
    return [text.format(amount(count, one)) for count, text, one in counted if count]


def _stage(stage: StageProgress, held_up_by: str, *, is_running: bool) -> StageView:
    of = "" if stage.total is None else f" of {stage.total:,}"
    return StageView(
        name=stage.name,
        done=stage.done,
        total=stage.total,
        amount=f"{stage.done:,}{of} {stage.unit}",
        rate=f"{number(stage.per_s)} {stage.unit}/s" if is_running and stage.per_s else "",
        is_slowest=is_running and stage.name == held_up_by,
    )
