"""The worker's side of the queue: the one file here that talks to Redis about jobs."""

import json
import math
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

import redis

from jobs.errors import InternalError, JobError, JobExpired, WorkerLost
from jobs.job import Result
from jobs.machines.announcements import encode_model
from jobs.models import ModelInfo
from jobs.stats import WorkerStats
from jobs.store import keys, record
from jobs.store.outage import Outage
from jobs.store.scripts import script
from workers.queue.execution import Claim, Claims, Emitted, Outcome, QueueCapacity, Reclaimed, Renewal
from workers.queue.result_store import ResultStore

STREAM_TTL_S = 86_400
"""How long a stream is kept whose job neither ends nor goes on."""

SUSPECTS_PATIENCE_S = 30.0
"""Suspects are left to workers without jobs for so long. Then one that has jobs lets its hand become empty for them."""

SUSPECTS_AT_ONCE = 16
"""So many run beside each other where one worker's death more would not fail them: at most one of them is at fault."""

MAX_EMITTED = 256
"""Events that one EMIT adds again: keeps a script near a millisecond."""

MAX_RELEASED = 256
"""Jobs given back in one script: keeps it near a millisecond."""

MAX_SWEPT = 50
"""Entries of each kind that one SWEEP drops: it takes five milliseconds where a million jobs have ended."""

MOST_SWEEPS = 100
"""Of one queue in a row. More expired entries are left to the next sweep."""


class BrokenStream(Exception):
    """The log of a stream lacks events in its middle."""


class WorkerQueue:
    """Claims, leases and outcomes of one worker. Every method may raise redis.RedisError; all may be repeated."""

    def __init__(
        self,
        connection: redis.Redis,
        worker: str,
        *,
        lease_s: float,
        max_crashes: int,
        outage: Outage | None = None,
        results: ResultStore | None = None,
    ) -> None:
        """outage: whoever meets a RedisError notes it there. results: where they lie; None: in Redis."""
        self._redis = connection
        self.outage = outage or Outage()
        self.worker = worker
        self._prefix = _new_prefix()
        self._dropped: frozenset[str] = frozenset()
        self._unswept: list[tuple[str, int]] = []
        """Queues that a sweep has not been through, and how many scripts each may still take."""
        self._lease_s = lease_s
        self._max_crashes = max_crashes
        names = (
            "claim",
            "finish",
            "renew",
            "reclaim",
            "leave",
            "promote",
            "follow_up",
            "emit",
            "announce",
            "sweep",
        )
        self._scripts = {name: connection.register_script(script(name)) for name in names}
        self._expired = record.encode_failure(JobExpired().failure())
        self._lost = record.encode_failure(WorkerLost().failure())
        self._results = results or ResultStore(connection)

    def claim(
        self,
        capacities: Sequence[QueueCapacity],
        *,
        max_jobs: int,
        suspect: bool = False,
        is_idle: bool = False,
        patience_s: float = SUSPECTS_PATIENCE_S,
    ) -> Claims:
        """Take jobs from these queues, in order. suspect: those that run apart from others, if it is this worker's
        turn: several from one queue, or one that has to run alone.

        is_idle: it has no job. A worker that has some is given the turn only where suspects have waited for patience_s.
        """
        args: list[Any] = [self.worker, record.timestamp(), self._lease_s, max_jobs, self._prefix]
        args += ["suspect" if suspect else "fresh", *self._expired, self._max_crashes, record.VERSION]
        args += [int(is_idle), patience_s]
        for each in capacities:
            args += [each.queue, max(0, each.tokens), max(0, each.jobs), each.in_hand, each.workers]
        has_turn, rows, backlog, begins_lease, is_cut_short, newer, left = self._scripts["claim"](args=args)
        self._prefix = _new_prefix()  # only now: until the reply is here, the same call is repeated
        return Claims(
            [_read_claim(row) for row in rows],
            bool(has_turn),
            frozenset(keys.names(backlog)),
            bool(begins_lease),
            bool(is_cut_short),
            frozenset(keys.names(left)),
            dict(zip(keys.names(newer[::2]), newer[1::2], strict=True)),
        )

    def data(self, claim: Claim) -> bytes | None:
        """A large job, which its claim did not bring along; None where it is gone."""
        names = record.part_names(claim.parts) if claim.parts else ["data"]
        found: list[Any] = [self._redis.hget(keys.job(claim.id), name) for name in names]
        return None if None in found else b"".join(found)

    def time_left_s(self, queues: Sequence[str]) -> dict[str, float]:
        """How long the oldest job of each of these queues may still wait to be started. Without those that wait for
        ever.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for queue in queues:
            pipeline.lindex(keys.queue(queue), 0)
        replies = pipeline.execute(raise_on_error=False)
        heads = [head for head in zip(queues, replies, strict=True) if isinstance(head[1], bytes)]
        for _, job_id in heads:
            pipeline.hget(keys.JOB_PREFIX.encode() + job_id, "mlxq_expires_at")
        # A head that is no job of ours may hold anything: CLAIM puts it out of the way once the model is there.
        found = zip(heads, pipeline.execute(raise_on_error=False), strict=True)
        seconds, _ = self._redis.time()
        times = {queue: _number(limit, math.inf) for (queue, _), limit in found if isinstance(limit, bytes)}
        return {queue: limit - seconds for queue, limit in times.items() if limit != math.inf}

    def wait_for_work(self, wake_keys: Sequence[str], timeout_s: float) -> None:
        """Block until a marker says there is work, `interrupt_wait` is called, or the time is over."""
        self._redis.blpop([*wake_keys, keys.bell(self.worker)], timeout=timeout_s)

    def interrupt_wait(self) -> None:
        """End this worker's own wait_for_work, from another thread."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.rpush(keys.bell(self.worker), 1)
        pipeline.expire(keys.bell(self.worker), 5)
        pipeline.execute()

    def finish(self, outcomes: Sequence[Outcome], worked_s: float) -> tuple[set[str], list[str]]:
        """Write outcomes. Returns (executions, as Claim.member, that were no longer ours; job ids to follow up)."""
        args: list[Any] = [self.worker, record.timestamp(), f"{worked_s:.6f}", len(outcomes)]
        for each in outcomes:
            claim = each.claim
            ttl = each.ttl_s if each.kind == "retry" else int(each.ttl_s)
            failure = self._results.place(each) if each.kind == "finished" else each.failure
            args += [claim.id, claim.execution, claim.queue, each.kind, ttl, each.stored, failure]
            args += [len(each.events)]
        stale, followups, behind = self._scripts["finish"](args=args)
        again = dict(zip(keys.names(behind[::2]), behind[1::2], strict=True))
        ids = set(keys.names(stale)), keys.names(followups)
        self._results.note_finished([each for each in outcomes if each.claim.id not in again], ids[0])
        if not again:
            return ids
        unsettled = [each for each in outcomes if each.claim.id in again]
        for each in unsettled:
            self.emit_after(each.claim, again[each.claim.id], each.events)
        more = self.finish(unsettled, 0.0)
        return ids[0] | more[0], ids[1] + more[1]

    def release(self, claims: Sequence[Claim]) -> None:
        """Give jobs back that nothing was done for."""
        # Each goes to the front of its queue: the last first keeps their order.
        backwards = [Outcome(claim, "release") for claim in reversed(claims)]
        for start in range(0, len(backwards), MAX_RELEASED):
            self.finish(backwards[start : start + MAX_RELEASED], 0.0)

    def store(self, claim: Claim, result: Result) -> bytes:
        """The result as FINISH takes it; a large one is written beside it first. Raises ResultTooLarge."""
        return self._results.store(claim, result)

    def emit(self, events: Sequence[tuple[Claim, int, bytes]]) -> Emitted:
        """Add (execution, number, encoded pieces) to streams, those of one job in their order.

        Those that are there already are left as they are, and none is added behind a gap.
        """
        args: list[Any] = [STREAM_TTL_S]
        for claim, number, body in events:
            args += [claim.id, claim.execution, number, body]
        lost, behind = self._scripts["emit"](args=args)
        return Emitted(
            frozenset(keys.names(lost)), dict(zip(keys.names(behind[::2]), behind[1::2], strict=True))
        )

    def emit_after(self, claim: Claim, last: int, events: Sequence[bytes]) -> None:
        """Add again all events behind that number: the log has lost them. A job that is not held any more gets none."""
        for start in range(last, len(events), MAX_EMITTED):
            part = events[start : start + MAX_EMITTED]
            self.emit([(claim, number, body) for number, body in enumerate(part, start + 1)])

    def published(self, claim: Claim) -> list[bytes]:
        """What earlier executions have published of the job's stream: its events, encoded. Raises BrokenStream."""
        rows: Any = self._redis.xrange(keys.stream(claim.id))
        if [number for number, _ in rows] != [b"%d-0" % number for number in range(1, len(rows) + 1)]:
            raise BrokenStream
        return [fields[b"pieces"] for _, fields in rows]

    def renew(self) -> Renewal:
        """Extend this worker's lease. What it is told to drop counts as dropped when it renews again."""
        has_lease, dropped, held = self._scripts["renew"](args=[self.worker, self._lease_s, *self._dropped])
        self._dropped = frozenset(keys.names(dropped))
        return Renewal(bool(has_lease), self._dropped, held)

    def held(self) -> list[str]:
        """Members that this worker holds as Redis has it, in the order of their claims."""
        return keys.names(self._redis.zrange(keys.held(self.worker), 0, -1))  # pyright: ignore[reportArgumentType]

    def reclaim(self) -> Reclaimed:
        """Take back, a slice at a time, what workers held whose lease has ended."""
        return self._reclaim("expired")

    def reclaim_hung(self, claims: Sequence[Claim]) -> tuple[int, int]:
        """Take back these of its own at once, as from a dead worker: their call does not return.
        Returns (requeued, failed for good).
        """
        return self._reclaim_members("hung", [claim.member for claim in claims])

    def reclaim_unknown(self, members: Sequence[str]) -> int:
        """Take back what Redis has this worker hold, and it does not. Returns how many are requeued."""
        return self._reclaim_members("unknown", members)[0]

    def _reclaim_members(self, whose: str, members: Sequence[str]) -> tuple[int, int]:
        requeued = failed = 0
        # Each goes to the front of its queue: the last first keeps their order.
        for end in range(len(members), 0, -MAX_RELEASED):
            counts = self._reclaim(whose, self.worker, *members[max(0, end - MAX_RELEASED) : end])
            requeued, failed = requeued + counts.requeued, failed + counts.failed
        return requeued, failed

    def reclaim_own(self) -> tuple[int, int]:
        """For whoever knows that this worker is dead: end its lease now, take back what it held, and withdraw it.
        Touches no lease of another worker. Returns (requeued, failed for good).
        """
        requeued = failed = 0
        more = True
        while more:
            counts = self._reclaim("worker", self.worker)
            requeued, failed, more = requeued + counts.requeued, failed + counts.failed, counts.more
        self._redis.zrem(keys.STARTING, self.worker)
        self.leave(in_order=False)
        return requeued, failed

    def _reclaim(self, whose: str, *names: str) -> Reclaimed:
        args = [record.timestamp(), self._lease_s, self._max_crashes, *self._lost, whose, *names]
        requeued, failed, more = self._scripts["reclaim"](args=args)
        return Reclaimed(requeued, failed, bool(more))

    def announce_start(self) -> None:
        """Say that this worker loads its models and will serve them; holds as long as a lease."""
        seconds, _ = self._redis.time()
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zadd(keys.STARTING, {self.worker: seconds + self._lease_s})
        pipeline.zremrangebyscore(keys.STARTING, "-inf", seconds)
        pipeline.execute()

    def promote(self, queues: Sequence[str]) -> int:
        """Requeue the retries that are due."""
        return int(self._scripts["promote"](args=list(queues)))

    def announce(self, stats: WorkerStats, models: Iterable[ModelInfo]) -> None:
        """Say that this worker lives and what it serves; holds as long as a lease. Its times become Redis's."""
        seconds, microseconds = self._redis.time()
        stats = stats.at(seconds + microseconds / 1e6)
        args: list[Any] = [self.worker, int(self._lease_s * 1000), record.pack(stats)]
        for info in models:
            args += [info.id, encode_model(info, stats.seen_at)]
        self._scripts["announce"](args=args)

    def leave(self, *, in_order: bool = True) -> None:
        """Say that this worker lives no longer. What it still holds goes back at once, as from a dead worker if it does
        not end in order.
        """
        self._scripts["leave"](args=[self.worker, "left" if in_order else "died"])

    def is_suspended(self) -> bool:
        """Whether `rq suspend` asked workers to pause."""
        return bool(self._redis.exists(keys.SUSPENDED))

    def sweep(self, most_s: float = math.inf) -> bool:
        """Drop expired entries from the registries of all our queues, also of those that nobody serves any more.

        Stops after most_s. Returns whether there is more to do: the next call goes on.
        """
        until = time.monotonic() + most_s
        if not self._unswept:
            names = keys.names(self._redis.smembers(keys.QUEUES), keys.QUEUE_PREFIX)  # pyright: ignore[reportArgumentType]
            self._unswept = [(name, MOST_SWEEPS) for name in names if keys.parse_queue_name(name)]
        while self._unswept:
            name, most = self._unswept.pop()  # first: where Redis refuses its sweep, others go on
            if self._scripts["sweep"](args=[name, MAX_SWEPT]) and most > 1:
                self._unswept.append((name, most - 1))
            if self._unswept and time.monotonic() >= until:
                return True
        self._results.sweep()
        return False

    def take_followup(self, job_id: str | None) -> tuple[str, int] | None:
        """An ended job whose callbacks, webhooks or dependents are still due: this one, unless another worker has it;
        None: any. Gives its id, and how often it has been tried with this time.
        """
        taken: Any = self._scripts["follow_up"](args=[job_id or ""])
        return (keys.names(taken[:1])[0], taken[1]) if taken else None

    def postpone_followup(self, job_id: str, delay_s: float) -> None:
        """It is due again after so long."""
        seconds, _ = self._redis.time()
        self._redis.zadd(keys.FOLLOWUPS, {job_id: seconds + delay_s}, xx=True)

    def failure(self, job_id: str) -> JobError:
        """What an ended job failed with."""
        rows: Any = self._redis.xrevrange(keys.results(job_id), count=1)
        return (record.last_failure(rows[0][1]) if rows else None) or InternalError()

    def note_followed_up(self, job_id: str) -> None:
        """All that an ended job still asked for is done, or given up."""
        pipeline = self._redis.pipeline(transaction=True)  # tries that stay alone would stay for ever
        pipeline.hdel(keys.FOLLOWUP_TRIES, job_id)
        pipeline.zrem(keys.FOLLOWUPS, job_id)
        pipeline.execute()


def _new_prefix() -> str:
    return secrets.token_hex(8) + "x"


def _read_claim(row: list[Any]) -> Claim:
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
    if not raw:
        return default
    try:
        number = float(raw)
    except ValueError:
        return default
    return number if math.isfinite(number) else default


def _delays_s(raw: bytes | None) -> tuple[float, ...]:
    try:
        return tuple(float(delay) for delay in json.loads(raw)) if raw else ()
    except (ValueError, TypeError):
        return ()
