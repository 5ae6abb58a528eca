"""Models that do not fit together: loaded when work comes, unloaded for one another, with a real Redis."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import mlx.core as mx
import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.errors import InternalError, ModelNotLoadable
from jobs.generate import GenerateJob, GenerateResult, Prompt
from jobs.job import Lane, Result, SubmitOptions
from jobs.settings import Settings
from jobs.store import keys
from jobs.store.connection import connect, connect_async
from jobs.store.redis_server import RedisServer
from tests.support.fake_generator import FakeGenerator
from tests.support.fake_runner import FakeRunner
from tests.support.folders import TINY_CHAT
from tests.support.running_worker import INTERACTIVE, LIMITS, ThreadWorker, embedded, started, working_queue
from tests.support.waiting import PATIENCE_S, until, until_async
from workers.models.model_cache import ModelCache
from workers.models.open import load_runner
from workers.runners.contract import Runner

SETTINGS = Settings(lease_s=1, sweep_s=0.5, batch_timeout_s=60)
BULK = SubmitOptions(lane=Lane.BULK, awaited=True)


class Memory:
    """What all models of a test do there, in order. peak_bytes: the most that was in use."""

    STEP_S = 0.002

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.peak_bytes = 0
        self._in_use: dict[str, int] = {}

    def load(self, runner: Runner) -> Iterator[None]:
        model = runner.info.id
        for _ in range(3):
            time.sleep(self.STEP_S)
            yield
        self.notes.append(f"load {model}")
        self._in_use[model] = runner.weight_bytes
        self.peak_bytes = max(self.peak_bytes, sum(self._in_use.values()))

    def unload(self, model: str) -> None:
        self.notes.append(f"unload {model}")
        self._in_use.pop(model, None)

    def is_loaded(self, model: str) -> bool:
        return model in self._in_use


class Embedder(FakeRunner):
    weight_bytes = 10

    def __init__(self, model: str, memory: Memory, *, batch_s: float = 0.0) -> None:
        super().__init__(model)
        self._memory = memory
        self._batch_s = batch_s

    def load(self) -> Iterator[None]:
        return self._memory.load(self)

    def unload(self) -> None:
        self._memory.unload(self.info.id)

    def run(self, items: Sequence) -> Sequence:
        assert self._memory.is_loaded(self.info.id), "a batch of a model that is not in memory"
        time.sleep(self._batch_s)
        return super().run(items)


class Writer(FakeGenerator):
    weight_bytes = 10

    def __init__(self, model: str, memory: Memory) -> None:
        super().__init__(model)
        self._memory = memory

    def load(self) -> Iterator[None]:
        return self._memory.load(self)

    def unload(self) -> None:
        assert not len(self.decoder), "its answers are not ended yet"
        self._memory.unload(self.info.id)


class Broken(Embedder):
    def load(self) -> Iterator[None]:
        yield
        raise RuntimeError("no such file")


@asynccontextmanager
async def worker_of(
    queue: JobQueue, url: str, runners: Sequence[Runner], *, budget_bytes: int = 10, starvation_s: float = 5.0
) -> AsyncIterator[ThreadWorker]:
    named = {runner.info.id: runner for runner in runners}
    model_cache = ModelCache(named, budget_bytes=budget_bytes, starvation_s=starvation_s)
    model_cache.load_fitting()
    settings = SETTINGS.model_copy(update={"starvation_s": starvation_s})
    worker = ThreadWorker(
        connect(url), model_cache, dict.fromkeys(named, LIMITS), settings, lambda work: work()
    )
    with started(worker):
        await until_async(queue.ready)
        yield worker


async def embed(queue: JobQueue, model: str, text: str, options: SubmitOptions = INTERACTIVE) -> Result:
    ticket = await queue.submit(EmbedJob(model=model, inputs=(text,)), options)
    return await queue.wait(ticket.id, PATIENCE_S)


async def write(
    queue: JobQueue, prompt: str, tokens: int, options: SubmitOptions = INTERACTIVE
) -> GenerateResult:
    ticket = await queue.submit(GenerateJob(model="w", prompt=Prompt(prompt), max_tokens=tokens), options)
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, GenerateResult)
    return result


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def queue(redis_server: RedisServer, redis_client: redis.Redis) -> AsyncIterator[JobQueue]:
    queue = JobQueue(connect_async(redis_server.url), SETTINGS)
    await queue.start()
    yield queue
    await queue.aclose()


async def test_a_model_is_loaded_when_work_for_it_comes(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Embedder("b", memory)]):
        assert memory.notes == ["load a"]
        assert embedded(await embed(queue, "b", "hello")).vectors
        assert memory.notes == ["load a", "unload a", "load b"]
    assert memory.peak_bytes == 10


async def test_a_result_tells_how_long_its_job_waited_for_the_model_to_be_loaded(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    async with worker_of(queue, redis_server.url, [Embedder("e", memory), Writer("w", memory)]):
        submitted = time.monotonic()
        loaded_for_it = await write(queue, "hello", 3)
        waited_s = time.monotonic() - submitted
        assert 3 * Memory.STEP_S <= loaded_for_it.load_s <= waited_s
        assert (await write(queue, "hello", 3)).load_s == 0.0
        counted = GenerateJob(model="w", prompt=Prompt("hello"), count_only=True)
        ticket = await queue.submit(counted, INTERACTIVE)
        assert await queue.wait(ticket.id, PATIENCE_S) == GenerateResult(choices=(), prompt_tokens=5)


async def test_a_streams_first_event_tells_how_long_its_job_waited_for_the_model_to_be_loaded(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    async with worker_of(queue, redis_server.url, [Embedder("e", memory), Writer("w", memory)]):
        streaming = GenerateJob(model="w", prompt=Prompt("hello"), max_tokens=3, stream=True)
        ticket = await queue.submit(streaming, INTERACTIVE)
        first, *others = [pieces.load_s async for _, pieces in queue.stream(ticket.id)]
        assert first >= 3 * Memory.STEP_S
        assert set(others) <= {0.0}


async def test_models_in_turn_are_swapped_by_the_queue_and_not_by_the_request(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    """Two hundred jobs, every other one for the other model."""
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Embedder("b", memory)]):
        memory.notes.clear()  # its models are known from now on
    models = ["a" if n % 2 else "b" for n in range(200)]
    tickets = [
        await queue.submit(EmbedJob(model=m, inputs=(f"{m} {n}",)), BULK) for n, m in enumerate(models)
    ]
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Embedder("b", memory)]):
        await asyncio.gather(*(queue.wait(ticket.id, PATIENCE_S) for ticket in tickets))
    assert memory.notes == ["load a", "unload a", "load b"]


async def test_a_flood_for_one_model_does_not_starve_the_other(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    """The flood takes the device four seconds at the least, and stands before the other's job is asked for."""
    flooded, other = Embedder("a", memory, batch_s=0.05), Embedder("b", memory)
    flooded.gate.clear()
    async with worker_of(queue, redis_server.url, [flooded, other], starvation_s=0.5):
        flood = [await queue.submit(EmbedJob(model="a", inputs=("again",) * 50), BULK) for _ in range(80)]
        await until(lambda: flooded.batches)
        starved = await queue.submit(EmbedJob(model="b", inputs=("me, too",)), BULK)
        flooded.gate.set()
        await queue.wait(starved.id, PATIENCE_S)
        await queue.wait(flood[-1].id, PATIENCE_S)
    assert memory.notes[:5] == ["load a", "unload a", "load b", "unload b", "load a"]


async def test_bulk_work_leaves_the_memory_to_a_model_that_is_asked_again_and_again(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    """Bulk work waits for sixty times the bound after which it starves. The model counts as asked for six times it."""
    runners = [Embedder("a", memory), Embedder("b", memory)]
    async with worker_of(queue, redis_server.url, runners, starvation_s=0.5):
        await embed(queue, "a", "chat")
        bulk = await queue.submit(EmbedJob(model="b", inputs=("bulk",)), BULK)
        until_s = time.monotonic() + 2
        while time.monotonic() < until_s:
            await embed(queue, "a", "chat")
            await asyncio.sleep(0.01)  # its caller reads the answer
        assert memory.notes == ["load a"]
        await queue.wait(bulk.id, PATIENCE_S)  # once nobody asks any more
    assert memory.notes == ["load a", "unload a", "load b"]


async def test_bulk_work_that_may_not_wait_any_longer_takes_the_memory(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    """It would get the memory by itself after sixty seconds."""
    runners = [Embedder("a", memory), Embedder("b", memory)]
    async with worker_of(queue, redis_server.url, runners, starvation_s=1):
        urgent = SubmitOptions(lane=Lane.BULK, awaited=True, ttl_s=3)
        bulk = await queue.submit(EmbedJob(model="b", inputs=("bulk",)), urgent)
        done = asyncio.create_task(queue.wait(bulk.id, PATIENCE_S))
        while not done.done():
            await embed(queue, "a", "chat")
        assert embedded(await done).vectors


async def test_a_model_with_running_answers_is_not_unloaded(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    writer = Writer("w", memory)
    writer.decoder.pause_s = 0.01
    async with worker_of(queue, redis_server.url, [writer, Embedder("e", memory)]):
        answers = [asyncio.create_task(write(queue, "some words", 60, BULK)) for _ in range(3)]
        await until(lambda: len(writer.decoder) == 3)
        await embed(queue, "e", "urgent")
        assert all(task.done() for task in answers)
        assert [(await task).choices[0].tokens for task in answers] == [60] * 3
    assert memory.notes[:3] == ["load w", "unload w", "load e"]


async def test_answers_go_on_while_another_model_is_loaded_beside_them(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    class Slow(Embedder):
        def load(self) -> Iterator[None]:
            steps = writer.decoder.steps
            for _ in range(40):
                time.sleep(0.01)
                yield
            self.steps_meanwhile = writer.decoder.steps - steps
            yield from super().load()

    writer = Writer("w", memory)
    writer.decoder.pause_s = 0.002
    slow = Slow("e", memory)
    slow.weight_bytes = 11
    async with worker_of(queue, redis_server.url, [writer, slow], budget_bytes=20) as worker:
        worker._model_cache._budget_bytes = 30  # room for both, but only once the worker runs
        endless = GenerateJob(model="w", prompt=Prompt("some words"), max_tokens=1_000_000)
        answer = await queue.submit(endless, INTERACTIVE)
        await until(lambda: len(writer.decoder) == 1)
        await embed(queue, "e", "beside")
        assert len(writer.decoder) == 1
        await queue.cancel(answer.id)
    assert slow.steps_meanwhile >= 5


async def test_jobs_of_a_model_that_cannot_be_loaded_fail_and_say_so(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Broken("broken", memory)]):
        with pytest.raises(ModelNotLoadable, match="broken cannot be loaded"):
            await embed(queue, "broken", "hello")
        assert embedded(await embed(queue, "a", "still here")).vectors


async def test_a_worker_tells_what_it_loads_only_while_it_does(
    redis_server: RedisServer, queue: JobQueue, memory: Memory, redis_client: redis.Redis
):
    class Noting(Embedder):
        def load(self) -> Iterator[None]:
            noted.append(redis_client.hlen(keys.loading("b")))  # pyright: ignore[reportArgumentType]
            return super().load()

    noted = list[int]()
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Noting("b", memory)]):
        await embed(queue, "b", "hello")
        await until(lambda: not redis_client.exists(keys.loading("b")))
    assert noted == [1]


async def test_two_workers_leave_each_other_their_models(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    other = Memory()
    first, second = (
        [Embedder("a", memory), Embedder("b", memory)],
        [Embedder("b", other), Embedder("a", other)],
    )
    async with (
        worker_of(queue, redis_server.url, first) as one,
        worker_of(queue, redis_server.url, second) as two,
    ):
        await until(lambda: one._model_cache._fleet.loaded and two._model_cache._fleet.loaded)
        for model in "aabababbaabbab":
            await embed(queue, model, "hello")
            await asyncio.sleep(0.03)  # a worker has time to make up its mind about another model
    assert (memory.notes, other.notes) == (["load a"], ["load b"])


async def test_an_answer_of_no_numbers_fails_and_harms_no_other(redis_server: RedisServer, tmp_path: Path):
    folder = shutil.copytree(TINY_CHAT, tmp_path / "broken")
    weights: dict[str, mx.array] = mx.load(str(folder / "model.safetensors"))  # pyright: ignore[reportAssignmentType]
    weights["model.norm.weight"] *= mx.nan
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    async with working_queue(redis_server.url, load_runner(f"w={folder}", Settings())) as queue:
        for tokens in (1, 30):
            with pytest.raises(InternalError):
                await write(queue, "Once upon a time", tokens)
