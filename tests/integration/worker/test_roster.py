"""Models that come to a running worker and leave it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.catalogue.entry import CatalogueEntry
from jobs.catalogue.file import CatalogueFile
from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InvalidInput, UnknownModel
from jobs.generate import GenerateJob, GenerateResult, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.store import keys
from jobs.store.connection import connect
from jobs.store.redis_server import RedisServer
from tests.support.fake_generator import FakeGenerator
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.running_worker import LIMITS, SETTINGS, ThreadWorker, open_queue, started
from tests.support.waiting import PATIENCE_S, until, until_async
from workers.models.model_cache import preloaded
from workers.models.resolve import LocalModel
from workers.runners.contract import Runner

AWAITED = SubmitOptions(lane=Lane.INTERACTIVE, awaited=True)


class Library:
    """What opens models: by their folders' names."""

    def __init__(self) -> None:
        self.opened: list[LocalModel] = []
        self.runners: dict[str, Any] = {}

    def open(self, model: LocalModel) -> Runner:
        self.opened.append(model)
        kind = model.folder.name
        if kind == "broken":
            raise InvalidInput("It is of no type that is known.")
        runner = FakeGenerator(model.id) if kind == "writer" else FakeRunner(model.id)
        self.runners[model.id] = runner
        return runner


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def file(tmp_path: Path) -> CatalogueFile:
    return CatalogueFile(tmp_path)


@pytest.fixture
def worker(
    redis_server: RedisServer, runner: FakeRunner, library: Library, file: CatalogueFile
) -> Iterator[ThreadWorker]:
    worker = ThreadWorker(
        connect(redis_server.url),
        preloaded({"fake": runner}),
        {"fake": LIMITS},
        SETTINGS,
        lambda work: work(),
        catalogue=file,
        open_model=library.open,
    )
    with started(worker):
        yield worker


@pytest.fixture
async def queue(worker: ThreadWorker, redis_server: RedisServer) -> AsyncIterator[JobQueue]:
    async with open_queue(redis_server.url) as queue:
        yield queue


def add(file: CatalogueFile, name: str, folder: str = "vectors", of: str = "") -> None:
    entry = CatalogueEntry(
        name=name, folder="" if of else f"/models/{folder}", of=of, created_at=1, modified_at=1
    )
    file.update(lambda it: it.with_entry(entry))


async def served(queue: JobQueue) -> set[str]:
    queue._inspector.forget_models()
    return {info.id for info in await queue.models()}


async def embed(queue: JobQueue, model: str, text: str) -> bytes:
    ticket = await queue.submit(EmbedJob(model=model, inputs=(text,)), AWAITED)
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, EmbedResult)
    return result.vectors


async def comes(queue: JobQueue, name: str) -> None:
    async def is_there() -> bool:
        return any(name in each.models for each in (await queue.stats()).workers) and name in await served(
            queue
        )

    await until_async(is_there)


async def goes(queue: JobQueue, name: str) -> None:
    async def is_gone() -> bool:
        return name not in await served(queue)

    await until_async(is_gone)


async def test_a_model_of_the_catalogue_is_served_without_a_restart(
    queue: JobQueue, file: CatalogueFile, library: Library
):
    add(file, "late")
    add(file, "other-name", of="late")
    add(file, "fake", "writer")  # the settings have that name
    await comes(queue, "late")

    assert await embed(queue, "late", "a") == expected_vector("a")
    assert await embed(queue, "fake", "b") == expected_vector("b")
    assert [(model.id, model.folder) for model in library.opened] == [("late", Path("/models/vectors"))]


async def test_a_generator_comes_too(queue: JobQueue, file: CatalogueFile):
    add(file, "writer", "writer")
    await comes(queue, "writer")

    ticket = await queue.submit(GenerateJob("writer", Prompt("one two"), max_tokens=2), AWAITED)
    assert isinstance(await queue.wait(ticket.id, PATIENCE_S), GenerateResult)


async def test_what_a_removed_model_has_begun_is_finished(
    queue: JobQueue, file: CatalogueFile, library: Library, redis_client: redis.Redis
):
    add(file, "late")
    await comes(queue, "late")
    await embed(queue, "late", "first")
    library.runners["late"].gate.clear()
    running = asyncio.create_task(embed(queue, "late", "last"))
    await until(lambda: ["last"] in library.runners["late"].batches)

    file.update(lambda it: it.without("late"))
    await goes(queue, "late")
    with pytest.raises(UnknownModel):
        await embed(queue, "late", "too late")
    library.runners["late"].gate.set()

    assert await running == expected_vector("last")
    assert not redis_client.exists(keys.digests("late"))
    assert not redis_client.hexists(keys.MODEL_DETAILS, "late")
    assert await embed(queue, "fake", "b") == expected_vector("b")

    async def is_unloaded() -> bool:
        return all(each.id != "late" for worker in (await queue.stats()).workers for each in worker.loaded)

    await until_async(is_unloaded)


async def test_a_model_whose_files_changed_is_opened_anew(
    queue: JobQueue, file: CatalogueFile, library: Library
):
    add(file, "late")
    await comes(queue, "late")
    await embed(queue, "late", "a")
    first = library.runners["late"]
    add(file, "late", "newer")
    await until(lambda: library.runners["late"] is not first)
    await comes(queue, "late")

    assert await embed(queue, "late", "b") == expected_vector("b")
    assert [model.folder.name for model in library.opened] == ["vectors", "newer"]
    assert ["b"] not in first.batches


async def test_a_model_that_cannot_be_opened_is_told_and_tried_again_when_it_changes(
    queue: JobQueue, file: CatalogueFile, library: Library
):
    add(file, "late", "broken")
    await until(lambda: bool(library.opened))

    async def is_told() -> bool:
        workers = (await queue.stats()).workers
        return any("no type that is known" in each.reason for worker in workers for each in worker.unloadable)

    await until_async(is_told)
    await asyncio.sleep(2.2)
    assert len(library.opened) == 1  # not again and again
    add(file, "late")
    await comes(queue, "late")
    assert await embed(queue, "late", "a") == expected_vector("a")


async def test_a_damaged_catalogue_changes_nothing(queue: JobQueue, file: CatalogueFile):
    add(file, "late")
    await comes(queue, "late")
    file.path.write_text("{")
    await asyncio.sleep(2.2)

    assert await embed(queue, "late", "a") == expected_vector("a")
