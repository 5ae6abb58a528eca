"""A job that this worker has claimed, and how far it is."""

import enum
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from jobs.client.stream_reader import decode_pieces
from jobs.embed import EmbedJob
from jobs.generate import GenerateJob, Pieces, Prompt
from jobs.job import LANES, Job, Lane
from jobs.rerank import RerankJob
from workers.queue.execution import Claim


class Status(enum.Enum):
    """How far a job is in this worker."""

    CLAIMED = enum.auto()
    """It waits to be prepared, or is being prepared."""
    READY = enum.auto()
    """Its items wait for the device, and none is on it."""
    RUNNING = enum.auto()
    """At least one of its items is on the device."""
    FINISHING = enum.auto()
    """Its outcome is being written. Nothing more of it runs, and it keeps its lease until that is done."""
    REMOVED = enum.auto()
    """This worker has nothing to do with it any more."""


_READY, _RUNNING, _FINISHING, _REMOVED = Status.READY, Status.RUNNING, Status.FINISHING, Status.REMOVED
"""For what is done for each item and token: in Python 3.11 a member of an enum takes four times as long to look up."""


class Prepared(NamedTuple):
    """What a job became for the device."""

    job: Job
    """A large one without its inputs: the items hold what is left of them."""
    items: Sequence[Any]
    """Units of device work (workers.runners.contract.Item), at least one."""
    outcomes: list[Any]
    """One per item: a value, or a JobError. None until the item has run."""


class ActiveJob:
    """A claimed job. All threads read it; `InFlight` moves it from status to status, under its lock."""

    def __init__(self, claim: Claim, model: str, lane: Lane, order: int, cost: int) -> None:
        """order: smaller was claimed earlier. cost: tokens of capacity that it takes until it is prepared."""
        self.claim = claim
        self.model = model
        self.lane = lane
        self.order = order
        self.cost = cost
        self.claimed_at = time.monotonic()
        self.status = Status.CLAIMED
        self.prepared_alone = False
        """It is in the line of jobs that are prepared one at a time."""
        self.prepared: Prepared | None = None
        self.deadline = math.inf
        """When its time limit is over, by time.monotonic. Infinite before its first item runs."""
        self.running = 0
        """Items on the device, also of a job that is not wanted any more."""
        self.resumes_from: Sequence[Pieces] = ()
        """What earlier executions have published of its stream."""
        self.events: list[bytes] = []
        """Of its stream so far, encoded: Redis may lose the last ones. Once it runs, the stream loop adds to them."""
        self.stream_is_broken = False
        """What was published lacks something, so it cannot go on."""
        self.keep_alive_s: float | None = None
        """How long it asks its model to be kept in memory. None: it says nothing."""
        self._unfinished = 0

    @property
    def rank(self) -> tuple[int, int]:
        """Smaller is served earlier."""
        return LANES.index(self.lane), self.order

    @property
    def is_large(self) -> bool:
        """Whether its claim has left its data in Redis, to be read when it is prepared."""
        return self.claim.data is None

    @property
    def is_wanted(self) -> bool:
        """Whether it is still to be worked on: it is not canceled, lost, over its time or ended."""
        return self.status is not _FINISHING and self.status is not _REMOVED

    @property
    def waits_alone(self) -> bool:
        """Whether it waits to be prepared by itself."""
        return (self.prepared_alone or self.is_large) and self.status is Status.CLAIMED

    @property
    def waits(self) -> bool:
        """Whether none of it is on the device, or has been."""
        return self.is_wanted and not self.running and self.is_untouched

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has been computed for it yet."""
        return self.prepared is None or self._unfinished == len(self.prepared.items)

    @property
    def answers(self) -> int:
        """Places that it takes among a generating model's answers."""
        return max(1, len(self.prepared.items)) if self.prepared else 1

    def resume_from(self, published: Sequence[bytes]) -> None:
        """Go on after what earlier executions have published. Called by the claim loop, before it is prepared."""
        self.resumes_from = [decode_pieces(body) for body in published]
        self.events = list(published)

    def note_decoded(self, job: Job) -> None:
        """Called by the thread that prepares it, which has read what is asked."""
        if isinstance(job, GenerateJob | EmbedJob):
            self.keep_alive_s = job.keep_alive_s

    def make_ready(self, prepared: Prepared) -> None:
        """CLAIMED to READY."""
        self.status = _READY
        self.prepared = prepared
        self._unfinished = len(prepared.items)

    def start_item(self, now: float) -> None:
        """One of its items goes onto the device. The time limit counts from the first one on."""
        self.status = _RUNNING
        self.running += 1
        if self.deadline == math.inf:
            self.deadline = now + self.claim.time_limit_s

    def stop_item(self) -> None:
        """One of its items has left the device, done or not."""
        self.running -= 1
        if not self.running and self.status is _RUNNING:
            self.status = _READY

    def finish_item(self, index: int, outcome: Any) -> bool:
        """An item has run. Whether the job is complete by that."""
        assert self.prepared is not None
        self.prepared.outcomes[index] = outcome
        self._unfinished -= 1
        self.stop_item()
        return self._unfinished == 0 and self.is_wanted


def without_inputs(job: Job) -> Job:
    """What the result of a large job is made from: the items have the rest, of which a limit may have left little."""
    if isinstance(job, EmbedJob):
        return replace(job, inputs=())
    if isinstance(job, RerankJob):
        return replace(job, query="", documents=())
    return replace(job, prompt=Prompt("")) if isinstance(job, GenerateJob) else job
