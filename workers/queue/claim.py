"""An execution of a job, as a worker has claimed it."""

import json
import math
from typing import Any, NamedTuple


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
    """Events of its stream that earlier executions have published."""
    parts: int = 0
    """In how many pieces a large job's data lies in Redis. 0: in one."""

    @property
    def member(self) -> str:
        """What stands for the execution in the sorted set of leases."""
        return f"{self.id}:{self.execution}"


class QueueCapacity(NamedTuple):
    """What a worker may claim from one queue."""

    queue: str
    tokens: int
    """Claimed are jobs until they cost so much together."""
    jobs: int
    """Claimed are so many at most."""


class Claims(NamedTuple):
    """The reply to a CLAIM."""

    claims: list[Claim]
    suspect_waits: bool
    """A suspect (a job that was in a worker when it died) is at a queue's head, or was taken."""
    backlog: frozenset[str]
    """Queues that have more jobs."""


def read_claim(row: list[Any]) -> Claim:
    """A row of what lua/claim.lua returns."""
    job_id, execution, queue, fields, published = row
    data, timeout, result_ttl, _crashes, cost, retries_left, intervals, parts, *callbacks, streams = fields
    return Claim(
        id=job_id.decode(),
        execution=execution.decode(),
        queue=queue.decode(),
        data=data,
        time_limit_s=_number(timeout, 180) if timeout != b"-1" else math.inf,
        result_ttl_s=int(_number(result_ttl, 500)),
        cost=int(_number(cost, 1)),
        retries_left=int(_number(retries_left, 0)),
        retry_delays_s=_delays_s(intervals),
        has_callbacks=any(callbacks),
        streams=streams is not None,
        published=int(published),
        parts=int(_number(parts, 0)),
    )


def _number(raw: bytes | None, default: float) -> float:
    try:
        number = float(raw) if raw else default
    except ValueError:
        return default
    return number if math.isfinite(number) else default


def _delays_s(raw: bytes | None) -> tuple[float, ...]:
    try:
        return tuple(float(delay) for delay in json.loads(raw)) if raw else ()
    except (ValueError, TypeError):
        return ()
