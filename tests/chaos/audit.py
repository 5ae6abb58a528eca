"""Looks at everything that Redis holds in the end, and compares it with what was ordered and told."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import redis

from jobs.embed import EmbedJob
from jobs.errors import JobError
from jobs.store import keys, record
from tests.chaos.garbage import Garbage
from tests.chaos.order import EXPECTED, INNOCENT, is_right
from tests.chaos.plan import Plan
from tests.chaos.producer import Note

PAGE = 500


class Stored(NamedTuple):
    """A job as Redis holds it. results: entries in its result stream."""

    id: str
    kind: str
    status: str
    code: str | None
    results: int
    right: bool
    ended_at_s: float
    crashes: int
    job: EmbedJob | None


def read_all(client: redis.Redis) -> Iterator[Stored]:
    """Every job record that is a hash."""
    ids = [
        key.decode().removeprefix(keys.JOB_PREFIX)
        for key in client.scan_iter(f"{keys.JOB_PREFIX}*", count=1000, _type="hash")
    ]
    ids = [job_id for job_id in ids if ":" not in job_id]
    for at in range(0, len(ids), PAGE):
        page = ids[at : at + PAGE]
        pipeline = client.pipeline(transaction=False)
        for job_id in page:
            pipeline.hgetall(keys.job(job_id))
            pipeline.xrevrange(keys.results(job_id))
        answers = pipeline.execute()
        for job_id, fields, rows in zip(page, answers[::2], answers[1::2], strict=True):
            if fields:
                yield _stored(job_id, fields, rows)


def _stored(
    job_id: str, fields: Mapping[bytes, bytes], rows: list[tuple[bytes, Mapping[bytes, bytes]]]
) -> Stored:
    view, stored = record.view(job_id, fields, None, rows)
    try:
        job = record.decode_job(fields.get(b"data"))
        assert isinstance(job, EmbedJob)
    except JobError:
        job = None
    right = job is not None and stored is not None and is_right(job, record.decode_result(stored))
    return Stored(
        id=job_id,
        kind=view.metadata.get("kind", ""),
        status=view.status,
        code=view.error.code if view.error else None,
        results=len(rows),
        right=right,
        ended_at_s=view.ended_at or 0.0,
        crashes=int(fields.get(b"mlxq_crashes", 0)),
        job=job,
    )


def _is_excused(stored: Stored, max_crashes: int) -> bool:
    """Whether a job may end like this as well: a `canceled` one in time, and an `overtime` one as lost.

    It sits in its worker for its whole time limit, so faults meant for others can kill it there as often as a
    job may be in a dying worker.
    """
    match stored.kind, stored.status, stored.code:
        case "canceled", "canceled", None:
            return True
        case "overtime", "failed", "worker_lost":
            return stored.crashes >= max_crashes
        case _:
            return False


class Audit:
    """problems by sort: each must be empty."""

    def __init__(self, plan: Plan, notes: list[Note], garbage: Garbage) -> None:
        self._plan = plan
        self._notes = notes
        self._garbage = garbage
        self.stored: dict[str, Stored] = {}
        self.problems: dict[str, list[str]] = {"lost": [], "doubled": [], "wrong": [], "surprising": []}
        self.statuses = Counter[str]()

    def run(self, client: redis.Redis, brief: Iterable[str]) -> None:
        """brief: ids whose records may have expired by now."""
        self.stored = {each.id: each for each in read_all(client)}
        brief = set(brief)
        for stored in self.stored.values():
            self._check_stored(stored)
        for note in self._notes:
            self._check_note(note, note.id in brief)
        for job_id in self._garbage.expected.keys() - self.stored.keys():
            self.problems["lost"].append(f"{job_id}: garbage without a trace")
        self._check_orders()

    def _check_stored(self, stored: Stored) -> None:
        self.statuses[stored.status] += 1
        if stored.status not in ("finished", "failed", "canceled"):
            self.problems["lost"].append(f"{stored}")
            return
        if stored.results != (stored.status != "canceled"):
            self.problems["doubled"].append(f"{stored}")
        wanted = self._garbage.expected.get(stored.id) or EXPECTED[stored.kind]
        if (stored.status, stored.code) != wanted and not _is_excused(stored, self._plan.max_crashes):
            self.problems["surprising"].append(f"{stored}")
        if stored.status == "finished" and not stored.right:
            self.problems["wrong"].append(f"{stored}")

    def _check_note(self, note: Note, brief: bool) -> None:
        if note.problem:
            self.problems["surprising"].append(f"the client raised: {note}")
        if not note.id:
            return
        if note.told in ("untold", "wrong"):
            self.problems["lost" if note.told == "untold" else "wrong"].append(f"{note}")
        stored = self.stored.get(note.id)
        if stored is None:
            if not brief:
                self.problems["lost"].append(f"acknowledged, but not there: {note}")
            return
        outcome = "canceled" if stored.status == "canceled" else stored.code or "finished"
        if note.told not in ("untold", "wrong", outcome):
            self.problems["wrong"].append(f"told otherwise than stored: {note} {stored}")
        if note.canceled is not None and note.canceled != (stored.status == "canceled"):
            self.problems["wrong"].append(f"the cancel call answered otherwise: {note} {stored}")
        name = f" {self._plan.seed}:{note.producer}:{note.number} "
        if stored.job is None or not all(name in f"{text} " for text in stored.job.inputs):
            self.problems["wrong"].append(f"another job under this id: {note} {stored}")

    def _check_orders(self) -> None:
        """A submit with an idempotency key was repeated until acknowledged; the others were sent once."""
        copies = Counter(each.job.inputs for each in self.stored.values() if each.job and each.kind)
        for inputs, count in copies.items():
            if count > 1:
                self.problems["doubled"].append(f"{count} jobs for one order: {inputs[0]!r}")

    def settled(self, since_s: float) -> list[tuple[float, Stored]]:
        """(seconds from a moment to its end, job) of the innocent jobs that ended after it, ascending.

        Without the flaky ones: they wait for their retries, which has nothing to do with faults.
        """
        innocent = [each for each in self.stored.values() if each.kind in INNOCENT and each.kind != "flaky"]
        return sorted((each.ended_at_s - since_s, each) for each in innocent if each.ended_at_s > since_s)

    def worst_crashes(self) -> int:
        """Most worker deaths that one innocent job was suspected of."""
        return max((each.crashes for each in self.stored.values() if each.kind in INNOCENT), default=0)
