# pyright: reportUnknownMemberType=false
"""Lists jobs, newest first, a page at a time. A page costs Redis the same, however many jobs there are."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import redis.asyncio

from jobs.errors import InvalidInput
from jobs.job import JobPage
from jobs.store import keys, record

MAX_OFFSET = 500
"""Jobs that one page may skip: their ids are read, and their records where only these tell the status."""

MOST_EXAMINED = 600
"""Records that are read for one page: some milliseconds of Redis' time."""

AT_ONCE = 250
"""Records that are read in one pipeline."""

_MOST_REGISTERED = 10_000
"""Entries of a registry that are read at once. Only a longer one makes a page look at other jobs, too."""

_NEWEST_OF_RQ = 100
"""Ids at a queue's tail among which those are listed that RQ itself put there: they are in no list of ours yet."""

_LETTERS = {"finished": "f", "failed": "x", "stopped": "x", "canceled": "c"}
"""Of ended jobs' members in mlxq:jobs:<queue> (see lua/lib.lua)."""

_TOLD_BY_LIST = (None, "finished", "canceled")
"""Filters for which no record need be read."""

_OPEN = "o"
_STATES = ("f", "x", "c", _OPEN)


class JobList:
    """Merges what queues have, by the jobs' ids, which begin with the time of their submission. Raises RedisError."""

    def __init__(self, redis: redis.asyncio.Redis) -> None:
        self._redis = redis

    async def page(
        self, queues: Sequence[str], *, status: str | None, limit: int, offset: int, after: str | None
    ) -> JobPage:
        """The newest jobs of the queues, without results, or those that follow the job `after`.

        A page may be short though there is more: where few of many jobs have the status. Raises InvalidInput for an
        offset that is too deep.
        """
        if offset > MAX_OFFSET:
            raise _too_deep()
        registered = await self._registered(queues, status)
        if offset and status in _TOLD_BY_LIST:
            skipped = await self._ids(queues, status, registered, after, offset)
            if len(skipped) < offset:
                return JobPage((), None)
            offset, after = 0, skipped[-1]
        found: list[_Record] = []
        examined = 0
        wanted = offset + limit + 1
        while True:
            count = min(AT_ONCE, wanted if not examined else AT_ONCE, MOST_EXAMINED - examined)
            ids = await self._ids(queues, status, registered, after, count)
            found += await self._records(ids, status)
            examined += len(ids)
            if len(found) >= wanted:
                return _page(found[offset : wanted - 1], found[wanted - 2].id)
            if len(ids) < count:
                return _page(found[offset:], None)
            after = ids[-1]
            if examined >= MOST_EXAMINED:
                if len(found) < offset:
                    raise _too_deep()
                return _page(found[offset:], after)

    async def _registered(self, queues: Sequence[str], status: str | None) -> list[str] | None:
        """All ids that RQ's registry of a status has, where they are few; None where the queues' own lists tell."""
        if status not in ("started", "scheduled", "deferred"):
            return None
        pipeline = self._redis.pipeline(transaction=False)
        for name in queues:
            pipeline.zcard(keys.registry(status, name))
        if sum(await pipeline.execute()) > _MOST_REGISTERED:
            return None
        for name in queues:
            pipeline.zrange(keys.registry(status, name), 0, -1)
        replies = await pipeline.execute()
        # The registry of started jobs names executions: id:execution.
        return [member.partition(":")[0] for members in replies for member in keys.names(members)]

    async def _ids(
        self,
        queues: Sequence[str],
        status: str | None,
        registered: Iterable[str] | None,
        after: str | None,
        count: int,
    ) -> list[str]:
        """The next ids, newest first."""
        if registered is None:
            registered = await self._listed(queues, status, after, count)
        places = {record.place(job_id): job_id for job_id in registered}
        last = None if after is None else record.place(after)
        newest = sorted((place for place in places if last is None or place < last), reverse=True)
        return [places[place] for place in newest[:count]]

    async def _listed(
        self, queues: Sequence[str], status: str | None, after: str | None, count: int
    ) -> list[str]:
        letters = _STATES if status is None else _LETTERS.get(status, _OPEN)
        pipeline = self._redis.pipeline(transaction=False)
        for name in queues:
            for letter in letters:
                below = letter + ("~" if after is None else record.place(after))
                pipeline.zrevrangebylex(keys.jobs(name), "(" + below, "[" + letter, start=0, num=count)
        places = [place for members in await pipeline.execute() for place in keys.names(members)]
        ids = [record.id_at(place[1:]) for place in places]
        # Those that RQ enqueued come after all others, so they are looked for where these end.
        is_end = sum(record.created_at(job_id) is not None for job_id in ids) < count
        if is_end and status in (None, "queued"):
            for name in queues:
                pipeline.lrange(keys.queue(name), -_NEWEST_OF_RQ, -1)
            waiting = [job_id for members in await pipeline.execute() for job_id in keys.names(members)]
            ids += [job_id for job_id in waiting if record.created_at(job_id) is None]
        return ids

    async def _records(self, ids: Sequence[str], status: str | None) -> list["_Record"]:
        """Without records that have vanished, are no hash, are in a queue of others, or have another status."""
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipeline.hmget(keys.job(job_id), record.VIEW_FIELDS)
        found: list[_Record] = []
        replies: list[Any] = await pipeline.execute(raise_on_error=False) if ids else []
        for job_id, values in zip(ids, replies, strict=True):
            fields = {} if isinstance(values, Exception) else record.named(values)
            has_status = status is None or fields.get(b"status") == status.encode()
            if has_status and record.is_ours(fields.get(b"origin")):
                found.append(_Record(job_id, fields))
        return found


class _Record(NamedTuple):
    id: str
    fields: dict[bytes, bytes]


def _page(shown: Sequence[_Record], after: str | None) -> JobPage:
    return JobPage(tuple(record.view(job_id, fields, None, [])[0] for job_id, fields in shown), after)


def _too_deep() -> InvalidInput:
    return InvalidInput(
        f"A page skips {MAX_OFFSET} jobs at most. Go on from page to page with `after`: the `next` of the last one.",
        param="offset",
    )
