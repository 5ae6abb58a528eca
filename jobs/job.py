"""A job of any task: how it is to be treated, and what a caller may know about it. Frozen, and travels as msgpack."""

import enum

import msgspec

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import Failure
from jobs.generate import GenerateJob, GenerateResult
from jobs.rerank import RerankJob, RerankResult
from jobs.tokenize import DetokenizeJob, DetokenizeResult, TokenizeJob, TokenizeResult

Job = EmbedJob | GenerateJob | RerankJob | TokenizeJob | DetokenizeJob
Result = EmbedResult | GenerateResult | RerankResult | TokenizeResult | DetokenizeResult

TASK_OF = {kind: str(kind.__struct_config__.tag) for kind in (EmbedJob, GenerateJob, RerankJob)}
"""The task of each type of job that runs on the device."""


def task_of(job: Job) -> str:
    """The task of a job, as its record and its queue's name have it. Tokenising goes through its model's own queue."""
    return job.served_as if isinstance(job, TokenizeJob | DetokenizeJob) else TASK_OF[type(job)]


class Lane(enum.StrEnum):
    """Three lanes, served in this order; a batch with room is topped up from the lanes below."""

    INTERACTIVE = "interactive"
    DEFAULT = "default"
    BULK = "bulk"


LANES = tuple(Lane)

ENDED = frozenset({"finished", "failed", "canceled", "stopped"})
"""The statuses (RQ's words) of a job that nothing more happens to."""


class SubmitOptions(msgspec.Struct, frozen=True):
    """How a job is to be treated; what it computes is in the job itself."""

    lane: Lane = Lane.DEFAULT
    time_limit_s: int = 600
    """Longest run, counted from the first start of an attempt."""
    ttl_s: int | None = None
    """Longest wait in the queue. None waits for ever."""
    result_ttl_s: int = 86_400
    """How long the result (or the failure) is kept after the end."""
    retries: int = 0
    """How often a failed run is tried again (not for invalid input), with back-off."""
    metadata: dict[str, str] = {}
    idempotency_key: str | None = None
    """A second submit with this key returns the first job."""
    awaited: bool = False
    """The submitter calls `wait` or `stream` next. The outcome is published to it."""


class Ticket(msgspec.Struct, frozen=True):
    """The answer to a submit."""

    id: str
    created: bool
    """False where an idempotency key named an earlier job."""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a caller may know about a job. Times are seconds since the epoch."""

    id: str
    status: str
    """RQ's words: queued, started, finished, failed, canceled, stopped, scheduled (waits for a retry), deferred."""
    task: str
    model: str
    lane: str
    position: int | None = None
    """Jobs before it in its queue, 0 is next. None unless queued."""
    attempts: int = 0
    """How often a worker started it."""
    created_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    worker: str | None = None
    metadata: dict[str, str] = {}
    result: Result | None = None
    error: Failure | None = None


class JobPage(msgspec.Struct, frozen=True):
    """A part of a list of jobs, newest first."""

    jobs: tuple[JobView, ...]
    next: str | None
    """The id after which the list goes on; None at its end."""
