"""A queue without Redis and workers, for tests: does a job the moment it is submitted, or when told to."""

import asyncio
import functools
import hashlib
import math
import time
from array import array
from collections.abc import AsyncGenerator, Callable

import msgspec

from jobs.chats.chat import ChatPage, ChatQuery, StoredChat, UnknownChat, chats_full
from jobs.client.naming import for_model
from jobs.content import MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult, PatchGrid
from jobs.errors import (
    IdempotencyConflict,
    InvalidInput,
    JobCanceled,
    JobError,
    NoWorker,
    Overloaded,
    ResultTimeout,
    UnknownJob,
)
from jobs.generate import GenerateJob, Pieces
from jobs.job import Job, JobPage, JobView, Lane, Result, SubmitOptions, Ticket, task_of
from jobs.models import LoadedModel, ModelInfo, model_for
from jobs.rerank import RerankJob
from jobs.stats import LaneStats, QueueStats, WorkerStats
from jobs.store.record import new_id
from jobs.tokenize import DetokenizeJob, TokenizeJob
from tests.support.memory.machines import MemoryMachines
from tests.support.memory.tokens import memory_tokens
from tests.support.memory.workers import MemoryOfWorkers
from tests.support.memory_generation import memory_answer, memory_events
from tests.support.memory_rerank import memory_ranking

MODEL = ModelInfo(id="org/model", task="embed", created=1_700_000_000, dimensions=384, max_tokens=256)
PAGE_MODEL = ModelInfo(
    id="org/pages",
    task="embed",
    created=1_700_000_000,
    dimensions=16,
    max_tokens=4096,
    abilities=("multi_vector", "vision"),
)
"""A vector for each word; a page has PAGE_ROWS * PAGE_COLUMNS patches and one vector before them."""
PAGE_ROWS, PAGE_COLUMNS = 2, 3

Generate = Callable[[GenerateJob, ModelInfo], tuple[Pieces, ...]]


@functools.lru_cache(maxsize=4096)
def memory_vector(content: str | tuple[int, ...] | MixedInput, dimensions: int) -> bytes:
    """A unit vector of float32, the same one for the same content, shape (dimensions,)."""
    seed = hashlib.sha512(repr(content).encode()).digest()
    values = [seed[i % len(seed)] - 127.5 + i % 7 for i in range(dimensions)]
    norm = math.sqrt(sum(value * value for value in values))
    return array("f", [value / norm for value in values]).tobytes()


def memory_embedding(job: EmbedJob, info: ModelInfo) -> EmbedResult:
    """What MemoryQueue answers: one token per word, token id or image. Raises InvalidInput like a worker does."""
    dimensions = job.dimensions or info.dimensions
    if dimensions != info.dimensions and dimensions < (info.min_dimensions or info.dimensions):
        raise InvalidInput(f"{info.id} allows no {dimensions} dimensions.", param="dimensions")
    if "multi_vector" in info.abilities:
        return _memory_vectors(job, dimensions)
    return EmbedResult(
        dimensions=dimensions,
        vectors=b"".join(memory_vector(content, dimensions) for content in job.inputs),
        tokens=tuple(map(_tokens, job.inputs)),
    )


def _memory_vectors(job: EmbedJob, dimensions: int) -> EmbedResult:
    counts = [
        1 + PAGE_ROWS * PAGE_COLUMNS if isinstance(each, MixedInput) else _tokens(each) for each in job.inputs
    ]
    grid = (PatchGrid(1, PAGE_ROWS, PAGE_COLUMNS),)
    return EmbedResult(
        dimensions=dimensions,
        vectors=b"".join(
            memory_vector((index, row), dimensions)
            for index, count in enumerate(counts)
            for row in range(count)
        ),
        tokens=tuple(map(_tokens, job.inputs)),
        counts=tuple(counts),
        grids=tuple(grid if isinstance(each, MixedInput) else () for each in job.inputs),
    )


def _tokens(content: str | tuple[int, ...] | MixedInput) -> int:
    if isinstance(content, MixedInput):
        return sum(len(part.text.split()) if isinstance(part, TextPart) else 1 for part in content.parts)
    return len(content.split()) if isinstance(content, str) else len(content)


class _Record:
    def __init__(self, job: Job, options: SubmitOptions) -> None:
        self.job = job
        self.options = options
        self.status = "queued"
        self.created_at = time.time()
        self.ended_at: float | None = None
        self.result: Result | None = None
        self.error: JobError | None = None
        self.events: tuple[Pieces, ...] = ()
        self.ended = asyncio.Event()

    def do(self, info: ModelInfo, generate: Generate) -> Result:
        if isinstance(self.job, EmbedJob):
            return memory_embedding(self.job, info)
        if isinstance(self.job, RerankJob):
            return memory_ranking(self.job, info)
        if isinstance(self.job, TokenizeJob | DetokenizeJob):
            return memory_tokens(self.job)
        self.events = generate(self.job, info)
        return memory_answer(self.events)

    def end(self, outcome: Result | JobError, status: str) -> None:
        self.status = status
        self.ended_at = time.time()
        self.result, self.error = (None, outcome) if isinstance(outcome, JobError) else (outcome, None)
        self.ended.set()


class MemoryQueue:
    """The interface of JobQueue over a dict.

    held: jobs stay queued until `release`. refusal: the error of every call, as if Redis were away.
    failure: what every job ends with. unserved: no worker has been there for long.
    limit: jobs that may be held; more are Overloaded. generate: what a generation is answered, event by event.
    """

    def __init__(
        self,
        models: tuple[ModelInfo, ...] = (MODEL,),
        *,
        held: bool = False,
        refusal: JobError | None = None,
        failure: JobError | None = None,
        unserved: bool = False,
        limit: int = 100_000,
        generate: Generate = memory_events,
    ) -> None:
        self.held = held
        self.unserved = unserved
        self.refusal = refusal
        self.loaded = {info.id: LoadedModel(info.id, 0, None) for info in models}
        self.failure = failure
        self.limit = limit
        self.chats = MemoryChats()
        self.machines = MemoryMachines(tuple(info.id for info in models))
        self.memory = MemoryOfWorkers(self.live_workers, lambda: self.loaded)
        self._generate = generate
        self.running = False
        self.submitted: list[tuple[Job, SubmitOptions]] = []
        self.canceled: list[str] = []
        self._models = {info.id: info for info in models}
        self._records: dict[str, _Record] = {}
        self._keys: dict[str, str] = {}
        self._held: list[str] = []

    async def start(self) -> None:
        self.running = True

    async def aclose(self) -> None:
        self.running = False

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        self._check()
        info = await self.model(job.model, task_of(job))
        job = for_model(job, info)
        key = options.idempotency_key
        if key in self._keys:
            if self._records[self._keys[key]].job != job:
                raise IdempotencyConflict
            return Ticket(id=self._keys[key], created=False)
        if len(self._held) >= self.limit:
            raise Overloaded(retry_after_s=7)
        self.submitted.append((job, options))
        job_id = new_id()
        self._records[job_id] = _Record(job, options)
        if key is not None:
            self._keys[key] = job_id
        if self.held:
            self._held.append(job_id)
        else:
            self._run(job_id)
        return Ticket(id=job_id, created=True)

    def release(self) -> None:
        """Does every job that is held."""
        while self._held:
            self._run(self._held.pop(0))

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        record = self._record(job_id)
        self._check_served(record)
        try:
            async with asyncio.timeout(timeout_s):
                await record.ended.wait()
        except TimeoutError as error:
            raise ResultTimeout from error
        if record.result is None:
            raise record.error or JobError()
        return record.result

    async def stream(self, job_id: str, after: int = 0) -> AsyncGenerator[tuple[int, Pieces]]:
        record = self._record(job_id)
        if not (isinstance(record.job, GenerateJob) and record.job.stream):
            raise InvalidInput("This job does not stream.", param="stream")
        self._check_served(record)
        await record.ended.wait()
        for number, event in enumerate(record.events[after:], after + 1):
            yield number, event
        if record.error:
            raise record.error

    async def cancel(self, job_id: str) -> bool:
        record = self._record(job_id)
        if record.ended.is_set():
            return False
        self._held.remove(job_id)
        self.canceled.append(job_id)
        record.end(JobCanceled(), "canceled")
        return True

    async def delete(self, job_id: str) -> JobView | None:
        if not self._record(job_id).ended.is_set():
            return None
        found = await self.view(job_id)
        del self._records[job_id]
        return msgspec.structs.replace(found, result=None)

    async def view(self, job_id: str) -> JobView:
        record = self._record(job_id)
        waiting = record.status == "queued"
        return JobView(
            id=job_id,
            status=record.status,
            task=task_of(record.job),
            model=record.job.model,
            lane=record.options.lane,
            position=self._held.index(job_id) if waiting else None,
            attempts=int(record.result is not None),
            created_at=record.created_at,
            started_at=record.ended_at,
            ended_at=record.ended_at,
            worker=None if waiting else "memory",
            metadata=record.options.metadata,
            result=record.result,
            error=record.error and record.error.failure(),
        )

    async def views(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        lane: Lane | None = None,
        limit: int,
        offset: int = 0,
        after: str | None = None,
    ) -> JobPage:
        self._check()
        views = [await self.view(job_id) for job_id in reversed(self._records)]
        found = [
            view
            for view in views
            if status in (None, view.status) and model in (None, view.model) and lane in (None, view.lane)
        ]
        begin = 0 if after is None else [view.id for view in found].index(after) + 1
        rest = [msgspec.structs.replace(view, result=None) for view in found[begin + offset :]]
        return JobPage(tuple(rest[:limit]), rest[limit - 1].id if len(rest) > limit else None)

    async def stats(self) -> QueueStats:
        self._check()
        queues = tuple(
            LaneStats(
                queue=f"{info.task}:{info.id}:{Lane.DEFAULT}",
                task=info.task,
                model=info.id,
                lane=Lane.DEFAULT,
                queued=len(self._held),
                started=0,
                scheduled=0,
                finished=sum(record.status == "finished" for record in self._records.values()),
                failed=sum(record.status == "failed" for record in self._records.values()),
                limit=self.limit,
                drain_rate=1.0,
            )
            for info in self._models.values()
        )
        return QueueStats(queues=queues, workers=self.live_workers())

    def live_workers(self) -> tuple[WorkerStats, ...]:
        """One, where there are models."""
        self._check()
        worker = WorkerStats(
            name="memory",
            models=tuple(self._models),
            seen_at=time.time(),
            jobs_in_hand=0,
            drain_rate={},
            loaded=tuple(self.loaded.values()),
        )
        return (worker,) if self._models else ()

    async def model(self, name: str, task: str | None = None) -> ModelInfo:
        self._check()
        return model_for(name, tuple(self._models.values()), task)

    async def models(self) -> tuple[ModelInfo, ...]:
        self._check()
        return tuple(self._models.values())

    async def ready(self) -> bool:
        self._check()
        return bool(self._models) and not self.unserved

    def _check(self) -> None:
        if self.refusal:
            raise self.refusal

    def _check_served(self, record: _Record) -> None:
        if self.unserved and record.options.awaited and not record.ended.is_set():
            raise NoWorker

    def _record(self, job_id: str) -> _Record:
        self._check()
        if job_id not in self._records:
            raise UnknownJob
        return self._records[job_id]

    def _run(self, job_id: str) -> None:
        record = self._records[job_id]
        try:
            if self.failure:
                raise self.failure
            record.end(record.do(self._models[record.job.model], self._generate), "finished")
        except JobError as error:
            record.end(error, "failed")


class MemoryChats:
    """A jobs.chats.store.ChatStore over a dict. max_bytes: nothing is compressed."""

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        self.max_bytes = max_bytes
        self.kept: dict[str, tuple[StoredChat, bytes]] = {}
        self._deleted: set[str] = set()

    async def check_room(self, size_bytes: int) -> None:
        used = sum(len(chat.reply) + len(messages) for chat, messages in self.kept.values())
        if used + size_bytes > self.max_bytes:
            raise chats_full(used, self.max_bytes)

    async def keep(self, chat: StoredChat, messages: bytes) -> None:
        if chat.head.id not in self._deleted:
            self.kept.setdefault(chat.head.id, (chat, messages))

    async def read(self, chat_id: str) -> StoredChat:
        return self._kept(chat_id)[0]

    async def messages(self, chat_id: str) -> bytes:
        return self._kept(chat_id)[1]

    async def page(self, query: ChatQuery) -> ChatPage:
        ids = list(self.kept)[:: -1 if query.descending else 1]
        rest = ids[ids.index(query.after) + 1 :] if query.after in ids else ids
        found = [self.kept[each][0] for each in rest if query.takes(self.kept[each][0].head)]
        return ChatPage(tuple(found[: query.limit]), len(found) > query.limit)

    async def label(self, chat_id: str, metadata: dict[str, str]) -> StoredChat:
        chat, messages = self._kept(chat_id)
        head = type(chat.head)(chat.head.id, chat.head.model, metadata)
        self.kept[chat_id] = (StoredChat(head, chat.reply), messages)
        return self.kept[chat_id][0]

    async def delete(self, chat_id: str) -> None:
        del self.kept[self._kept(chat_id)[0].head.id]
        self._deleted.add(chat_id)

    def _kept(self, chat_id: str) -> tuple[StoredChat, bytes]:
        if chat_id not in self.kept:
            raise UnknownChat
        return self.kept[chat_id]
