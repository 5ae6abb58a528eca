"""An execution of a job: as a worker has claimed it (CLAIM), and what became of it (FINISH)."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from jobs.errors import Failure
from jobs.store import record


class Claim(NamedTuple):
    """One execution of one job, as claimed."""

    id: str
    execution: str
    """Names this run of the job: FINISH takes no outcome of another one."""
    queue: str
    data: bytes | None
    """The encoded job. None of a large one, which `WorkerQueue.data` reads."""
    time_limit_s: float
    result_ttl_s: int
    """How long the result is kept. -1: for ever."""
    retries_left: int
    retry_delays_s: tuple[float, ...]
    """One per retry; the last one is repeated."""
    cost: int
    """Rough tokens, as estimated by whoever submitted it."""
    has_callbacks: bool
    """RQ's callbacks are to be run, or webhooks to be sent."""
    streams: bool = False
    """Pieces of its result are published as they come."""
    published: int = 0
    """Number of the last event that earlier executions have published of its stream."""
    parts: int = 0
    """In how many pieces a large job's data lies in Redis. 0: in one."""

    @property
    def member(self) -> str:
        """What stands for the execution among those that a worker holds."""
        return f"{self.id}:{self.execution}"


class QueueCapacity(NamedTuple):
    """What a worker may claim from one queue."""

    queue: str
    tokens: int
    """Claimed are jobs until they cost so much together."""
    jobs: int
    """Claimed are so many at most."""
    in_hand: int = 0
    """So many jobs of it the worker has."""
    workers: int = 1
    """So many serve it. Each takes no more than its part, unless it is one."""


class Claims(NamedTuple):
    """The reply to a CLAIM."""

    claims: list[Claim]
    has_turn: bool
    """It is this worker's turn to run suspects: jobs that were in workers when they died, and run apart from others."""
    backlog: frozenset[str]
    """Queues that have more jobs."""
    begins_lease: bool = False
    """The worker had no lease any more: what it held before this claim is not its own."""
    is_cut_short: bool = False
    """It has done as much as one script may: there may be more to take at once."""
    left_to_others: frozenset[str] = frozenset()
    """Queues that may have more, of which the worker has its part."""
    newer: Mapping[str, int] = {}
    """Queues at whose head is a job that a later version wrote, with that version. A worker of it must take the job."""


class Emitted(NamedTuple):
    """The reply to an EMIT."""

    lost: frozenset[str]
    """Members that are not held any more."""
    behind: Mapping[str, int]
    """Members whose logs lack what comes before these events, with the number of the last event that is there."""


class Renewal(NamedTuple):
    """The reply to a RENEW."""

    has_lease: bool
    """False: whatever the worker held is not its own any more. Its next claim begins a new lease."""
    dropped: frozenset[str]
    """Members that the worker is to drop: they are canceled."""
    held: int
    """How many the worker holds as Redis has it."""


class Reclaimed(NamedTuple):
    """The reply to a RECLAIM."""

    requeued: int
    failed: int
    """For good: workers died with these jobs too often."""
    more: bool
    """There is more to do: call again."""


OutcomeKind = Literal["finished", "failed", "stopped", "retry", "release"]
"""retry: a failed run that is tried again. release: given back, as if it had never been claimed."""


class Outcome(NamedTuple):
    """What became of an execution, as lua/finish.lua takes it."""

    claim: Claim
    kind: OutcomeKind
    ttl_s: float = 0
    """How long the result is kept. Of a retry: how long it waits."""
    stored: bytes = b""
    """The encoded result, or the failure as RQ stores it."""
    failure: bytes = b""
    """The failure as msgpack."""
    events: Sequence[bytes] = ()
    """All of its stream, encoded: none may be missing in the log when it ends."""


def failed(claim: Claim, failure: Failure, kind: OutcomeKind = "failed") -> Outcome:
    """The outcome of a job that fails for good."""
    exc_string, packed = record.encode_failure(failure)
    return Outcome(claim, kind, claim.result_ttl_s, exc_string, packed)
