# pyright: reportUnknownMemberType=false
"""How an API process learns that its jobs have ended: one channel per process, one message per FINISH."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from jobs.client.stream_reader import SAFETY_POLL_S, StreamReader, parse_event
from jobs.errors import ResultTimeout, ServerStopping
from jobs.job import ENDED
from jobs.process.cancelling import cancel_and_wait
from jobs.store import keys
from jobs.store.outage import Outage

log = logging.getLogger(__name__)

MISSING = "missing"
"""The status of a job that was there and has vanished (deleted, evicted, flushed)."""

JobOutcome = tuple[str, bytes | None]
"""(status, body): base64 result, or msgpack failure; body None where only a look-up said so."""

_ENDED_BYTES = frozenset(status.encode() for status in ENDED)
_decode = msgspec.msgpack.Decoder(list[tuple[str, str, bytes]]).decode


def expire(future: asyncio.Future[JobOutcome]) -> None:
    """The time of whoever waits is over."""
    if not future.done():
        future.set_exception(ResultTimeout())


class OutcomeListener:
    """Futures of job outcomes, resolved by pub/sub or, failing that, by a poll once a second."""

    def __init__(self, redis: redis.asyncio.Redis, outage: Outage | None = None) -> None:
        """outage: is begun by a lost connection; the watch ends it."""
        self._redis = redis
        self._outage = outage or Outage()
        self.channel = f"mlxq:reply:{secrets.token_hex(8)}"
        self._waiting: dict[str, list[asyncio.Future[JobOutcome]]] = {}
        self._readers: dict[str, list[StreamReader]] = {}
        self._admitted: set[str] = set()
        self._missed: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Subscribes, and polls beside it."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._poll())]

    async def aclose(self) -> None:
        """Ends both tasks."""
        await cancel_and_wait(*self._tasks)

    def expect(self, job_id: str) -> asyncio.Future[JobOutcome]:
        """A future of the job's outcome. Give it to `forget` in the end."""
        future: asyncio.Future[JobOutcome] = asyncio.get_running_loop().create_future()
        if self._stopping:
            future.set_exception(ServerStopping())
        self._waiting.setdefault(job_id, []).append(future)
        return future

    def stop_waiting(self) -> None:
        """Futures that wait, and those to come, fail with ServerStopping."""
        self._stopping = True
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(ServerStopping())
        for readers in self._readers.values():
            for reader in readers:
                reader.wake()

    def admitted(self, job_id: str) -> None:
        """The expected job has been in Redis; from now on its absence is an outcome."""
        if job_id in self._waiting:
            self._admitted.add(job_id)

    def forget(self, job_id: str, future: asyncio.Future[JobOutcome]) -> None:
        """Nobody waits for the future any more."""
        if not future.cancel() and not future.cancelled():
            future.exception()  # retrieved, so that asyncio logs no warning
        if futures := self._waiting.get(job_id):
            with contextlib.suppress(ValueError):
                futures.remove(future)
            if not futures:
                del self._waiting[job_id]
                self._admitted.discard(job_id)

    def follow(self, job_id: str) -> StreamReader:
        """The events of the job's stream from now on; give it to `unfollow` in the end."""
        reader = StreamReader()
        self._readers.setdefault(job_id, []).append(reader)
        return reader

    def unfollow(self, job_id: str, reader: StreamReader) -> None:
        """Nobody reads these events any more."""
        readers = self._readers[job_id]
        readers.remove(reader)
        if not readers:
            del self._readers[job_id]

    def _deliver(self, job_id: str, outcome: JobOutcome) -> None:
        for reader in self._readers.get(job_id, ()):
            reader.wake()
        for future in self._waiting.get(job_id, ()):
            if not future.done():
                future.set_result(outcome)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self.channel)
                    messages = cast(AsyncIterator[dict[str, Any]], pubsub.listen())
                    async for message in messages:
                        if message["type"] == "message":
                            self._open(message["data"])
            except (RedisError, OSError) as error:
                self._outage.note(error)
            except Exception:
                log.exception("listening to the reply channel failed, subscribing again")
            await asyncio.sleep(0.2)

    def _open(self, message: bytes) -> None:
        try:
            outcomes = _decode(message)
        except msgspec.MsgspecError as error:
            log.warning(
                "a message on the reply channel is unreadable and skipped", extra={"error": str(error)}
            )
            return
        for job_id, status, body in outcomes:
            if status != "pieces":
                self._deliver(job_id, (status, body))
            elif readers := self._readers.get(job_id):
                event = parse_event(body)
                for reader in readers:
                    reader.put(event)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(SAFETY_POLL_S)
            try:
                await self._look_up()
            except (RedisError, OSError):
                continue  # Redis is away: the outcomes wait there
            except Exception:
                log.exception("looking up outcomes failed, trying again")

    async def _look_up(self) -> None:
        waiting, admitted = list(self._waiting), set(self._admitted)
        if not waiting:
            self._missed.clear()
            return
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in waiting:
            pipeline.hget(keys.job(job_id), "status")
        replies = await pipeline.execute(raise_on_error=False)
        missed: set[str] = set()
        for job_id, reply in zip(waiting, replies, strict=True):
            if isinstance(reply, bytes) and reply in _ENDED_BYTES:
                self._deliver(job_id, (reply.decode(), None))
            elif job_id in admitted and (reply is None or _is_no_hash(reply)):
                missed.add(job_id)
        # A record that vanished when its job ended has a message on its way, so only the second look counts.
        for job_id in missed & self._missed:
            self._deliver(job_id, (MISSING, None))
        self._missed = missed


def _is_no_hash(reply: object) -> bool:
    return isinstance(reply, ResponseError) and "WRONGTYPE" in str(reply)
