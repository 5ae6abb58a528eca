"""How far an ingest is: from the counts of what runs now, with rates and a guess of the end."""

import time
from collections.abc import Callable

import msgspec

from cli.ingest.display.rates import Rate
from ingest.scan.scanner import ScanProgress
from jobs.ingests.run import RunProgress, StageProgress

GUESSED_AFTER_S = 5.0
"""A guess by less would jump about."""


class WorkCounts(msgspec.Struct, frozen=True):
    """Of the documents that are to be ingested, so far."""

    documents_total: int
    documents_done: int
    documents_failed: int
    not_documents: int
    """Files that are left out."""
    pages_failed: int
    read: int
    """Pages."""
    embedded: int
    """Pages and chunks."""
    stored: int
    pages_done: int
    bytes_total: int
    bytes_done: int
    """Of documents that are done or failed."""
    held_up_by: str
    waiting_for: str


class Meter:
    """For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._rates: dict[str, Rate] = {}
        self._source: Callable[[], RunProgress] = RunProgress
        self.last = RunProgress()
        """What `read` has said last."""
        self.rests = True
        """Nothing runs: there is nothing to be shown."""

    def read(self) -> RunProgress:
        """Now."""
        self.last = self._source()
        return self.last

    def rest(self, message: str) -> None:
        """Nothing runs for a while. What was counted stays."""
        self.read()
        kept = msgspec.structs.replace(
            self.last, message=message, held_up_by="", eta_s=None, stages=_still(self.last)
        )
        self._begin(lambda: kept)
        self.rests = True

    def look(self, progress: ScanProgress) -> None:
        """Folders are looked at from now on."""
        self._begin(lambda: self._looking(progress))

    def work(self, counts: Callable[[], WorkCounts]) -> None:
        """Documents are ingested from now on."""
        self._begin(lambda: self._working(counts()))

    def _begin(self, source: Callable[[], RunProgress]) -> None:
        self._source, self._began, self._rates = source, self._clock(), {}
        self.rests = False

    def _looking(self, progress: ScanProgress) -> RunProgress:
        hashing = progress.hashing
        if not hashing.files_total:
            return RunProgress(stages=(self._stage("look", progress.found, None, "files"),))
        return RunProgress(
            stages=(
                self._stage("look", hashing.files_done, hashing.files_total, "files"),
                self._stage("hash", hashing.bytes_done, hashing.bytes_total, "bytes"),
            )
        )

    def _working(self, counts: WorkCounts) -> RunProgress:
        ended = counts.documents_done + counts.documents_failed + counts.not_documents
        return RunProgress(
            stages=(
                self._stage("files", ended, counts.documents_total, "files"),
                self._stage("read", counts.read, None, "pages"),
                self._stage("embed", counts.embedded, None, "pages"),
                self._stage("store", counts.stored, None, "pages"),
                self._stage("done", counts.pages_done, None, "pages"),
            ),
            held_up_by=counts.held_up_by,
            eta_s=self._left_s(counts),
            documents_done=counts.documents_done,
            documents_failed=counts.documents_failed,
            pages_failed=counts.pages_failed,
            message=counts.waiting_for,
        )

    def _stage(self, name: str, done: int, total: int | None, unit: str) -> StageProgress:
        rate = self._rates.setdefault(name, Rate()).per_s(done, self._clock())
        return StageProgress(name, done, total, unit, rate)

    def _left_s(self, counts: WorkCounts) -> float | None:
        """By bytes: a document of a thousand pages counts for more than one of a single page."""
        took_s = self._clock() - self._began
        if took_s < GUESSED_AFTER_S or not counts.bytes_done or counts.waiting_for:
            return None
        return took_s * (counts.bytes_total - counts.bytes_done) / counts.bytes_done


def _still(progress: RunProgress) -> tuple[StageProgress, ...]:
    return tuple(msgspec.structs.replace(stage, per_s=0.0) for stage in progress.stages)
