"""Everything that Redis holds of jobs in the end: what their producers can see, and what lies beneath."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
import redis.asyncio

from jobs.client.queue import JobQueue
from jobs.client.stream_reader import decode_pieces
from jobs.errors import JobError
from jobs.generate import GenerateJob
from jobs.job import Job, JobView
from jobs.store import keys
from tests.chaos.faults.garbage import READABLE
from tests.chaos.order import greedy, is_right, ordered
from tests.chaos.plan import Plan

PAGE = 200


class Stored(NamedTuple):
    """A job as Redis holds it. order: of which order it is, "" of garbage. results: entries in its result stream.

    right: it has finished with the only right result. log: what is wrong with the log of its stream.
    """

    id: str
    kind: str
    order: str
    status: str
    code: str | None
    results: int
    right: bool
    log: str
    ended_at_s: float
    crashes: int
    worker: str


async def read_all(client: redis.asyncio.Redis, queue: JobQueue, plan: Plan) -> AsyncIterator[Stored]:
    """Every job record that is a hash."""
    ids = [
        key.decode().removeprefix(keys.JOB_PREFIX)
        async for key in client.scan_iter(f"{keys.JOB_PREFIX}*", count=1000, _type="hash")
    ]
    ids = [job_id for job_id in ids if ":" not in job_id]
    for at in range(0, len(ids), PAGE):
        page = ids[at : at + PAGE]
        pipeline = client.pipeline(transaction=False)
        for job_id in page:
            pipeline.hget(keys.job(job_id), "mlxq_crashes")
            pipeline.xlen(keys.results(job_id))
            pipeline.xrange(keys.stream(job_id))
        answers = await pipeline.execute()
        views = await asyncio.gather(*[queue.view(job_id) for job_id in page], return_exceptions=True)
        rows = zip(views, answers[::3], answers[1::3], answers[2::3], strict=True)
        for view, crashes, results, log in rows:
            if isinstance(view, JobView):
                yield _stored(plan, view, int(crashes or 0), results, log)
            elif not isinstance(view, JobError):  # it has expired since, or is none of ours
                raise view


def _stored(plan: Plan, view: JobView, crashes: int, results: int, log: list[Any]) -> Stored:
    kind, order = view.metadata.get("kind", ""), view.metadata.get("order", "")
    job = ordered(plan, kind, order) if order else READABLE
    return Stored(
        id=view.id,
        kind=kind,
        order=order,
        status=view.status,
        code=view.error.code if view.error else None,
        results=results,
        right=is_right(job, view.result),
        log=log_problem(job, log) if view.status == "finished" else "",
        ended_at_s=view.ended_at or 0.0,
        crashes=crashes,
        worker=view.worker or "",
    )


def log_problem(job: Job, log: list[Any]) -> str:
    """What is wrong with a stream's log: its numbers have no gap, and its pieces are the answer."""
    if not isinstance(job, GenerateJob):
        return ""
    numbers = [int(number.partition(b"-")[0]) for number, _ in log]
    if numbers != list(range(1, len(log) + 1)):
        return f"events {numbers}"
    try:
        pieces = [decode_pieces(fields[b"pieces"]).pieces for _, fields in log]
    except (KeyError, msgspec.MsgspecError) as error:
        return repr(error)
    text = "".join(piece.text for each in pieces for piece in each)
    return "" if text == greedy(job) else f"{text!r} instead of {greedy(job)!r}"
