"""How far a run is, stage by stage."""

import contextlib
from collections import Counter
from collections.abc import Generator
from typing import Literal

import msgspec

from ingest.collections.layout import Kind

HoldUp = Literal["reading", "device", "store", ""]
"""The stage that the others wait for."""


class Counts(msgspec.Struct):
    """Of one kind of points. Each number counts up."""

    read: int = 0
    """Pages that were read for it. Those of text may hold nothing."""
    sent: int = 0
    """Pages or chunks that have become jobs."""
    embedded: int = 0
    """Pages or chunks whose vectors are here."""
    handed: int = 0
    """Pages or chunks that were handed to the store: chunks of pages all of which are embedded."""
    stored: int = 0
    """Pages or chunks that the store has acknowledged."""
    pages_done: int = 0
    """Pages that the manifest has as done, in this run."""
    pages_failed: int = 0


class Progress:
    """Counts up while the pipeline runs; read it whenever you like, from its own thread."""

    def __init__(self, window: int) -> None:
        """window: pages and chunks on their way at most."""
        self._window = window
        self._waits = Counter[str]()
        self.kinds: dict[Kind, Counts] = {}
        self.documents_begun = 0
        self.documents_done = 0
        self.documents_failed = 0
        self.warnings = 0

    def of(self, kind: Kind) -> Counts:
        """Its counts, from 0."""
        return self.kinds.setdefault(kind, Counts())

    @property
    def waiting_for(self) -> str:
        """What does not answer, in a sentence. Empty: all works."""
        return self._waits.most_common(1)[0][0] if self._waits else ""

    @contextlib.contextmanager
    def waiting(self, why: str) -> Generator[None]:
        """Something waits for what `why` says."""
        self._waits[why] += 1
        try:
            yield
        finally:
            self._waits[why] -= 1
            if not self._waits[why]:
                del self._waits[why]

    @property
    def at_device(self) -> int:
        """Pages and chunks that are jobs now, and chunks that wait for others that are."""
        return sum(each.sent - each.handed for each in self.kinds.values())

    @property
    def at_store(self) -> int:
        """Pages and chunks that wait for the store."""
        return sum(each.handed - each.stored for each in self.kinds.values())

    @property
    def held_up_by(self) -> HoldUp:
        """Where most of what is on its way lies, there is the narrowest stage; where little is, reading is."""
        on_way = self.at_device + self.at_store
        if on_way < self._window // 2:
            return "reading" if self.documents_begun else ""
        return "device" if self.at_device >= self.at_store else "store"


class Summary(msgspec.Struct, frozen=True):
    """What a run has done."""

    documents_done: int
    documents_failed: int
    kinds: dict[Kind, Counts]
    stopped: bool
    """It was asked to stop: documents are left."""
    elapsed_s: float
