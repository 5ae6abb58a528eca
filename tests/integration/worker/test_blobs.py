"""Pages that lie beside the queue: a worker reads them before the model sees the job."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from bench.ingest.noop_pages import NoopPages, content_digest, page_vectors
from jobs.blobs.blob import Blob, raw_image
from jobs.blobs.folder import BlobFolder
from jobs.blobs.redis import RedisBlobs
from jobs.blobs.store import BlobStore
from jobs.client.queue import JobQueue
from jobs.content import MixedInput
from jobs.embed import EmbedJob
from jobs.errors import BlobGone, Overloaded
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings
from jobs.store.connection import connect, connect_async
from jobs.store.redis_server import RedisServer
from tests.support.running_worker import SETTINGS, ThreadWorker, embedded, open_queue, started
from tests.support.waiting import PATIENCE_S, until
from workers.models.model_cache import preloaded
from workers.scheduling.packing import BatchLimits

LIMITS = BatchLimits(tokens=4096, items=64, padding=0.5, free_padding=64)
BULK = SubmitOptions(lane=Lane.BULK, awaited=True)


@pytest.fixture(params=["folder", "redis"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, redis_client: redis.Redis) -> BlobStore:
    if request.param == "folder":
        return BlobFolder(tmp_path / "blobs")
    return RedisBlobs(redis_client, SETTINGS.blob_bytes)


@pytest.fixture
def worker(redis_server: RedisServer, blobs: BlobStore) -> Iterator[ThreadWorker]:
    runner = NoopPages()
    made = ThreadWorker(
        connect(redis_server.url),
        preloaded({runner.info.id: runner}),
        {runner.info.id: LIMITS},
        SETTINGS,
        lambda work: work(),
        blobs=blobs,
    )
    with started(made):
        yield made


def page(seed: int) -> Blob:
    pixels = np.random.default_rng(seed).integers(0, 256, 3 * 56 * 84, dtype=np.uint8)
    return raw_image(56, 84, pixels.tobytes())


def job_of(*blobs: Blob) -> EmbedJob:
    return EmbedJob(model="noop-pages", inputs=tuple(MixedInput((blob.part,)) for blob in blobs))


@pytest.mark.usefixtures("worker")
async def test_a_page_is_embedded_from_where_it_lies(redis_server: RedisServer, blobs: BlobStore):
    pages = [page(1), page(2)]
    async with open_queue(redis_server.url) as queue:
        for each in pages:
            blobs.put(each)
        ticket = await queue.submit(job_of(*pages), BULK)
        result = embedded(await queue.wait(ticket.id, PATIENCE_S))
    expected = [page_vectors(content_digest(b"".join(each.pieces))) for each in pages]
    assert result.vectors == np.concatenate(expected).tobytes()


@pytest.mark.usefixtures("worker")
async def test_a_page_that_is_gone_fails_its_job_alone(redis_server: RedisServer, blobs: BlobStore):
    gone, there = page(1), page(2)
    blobs.put(there)
    async with open_queue(redis_server.url) as queue:
        tickets = [await queue.submit(job_of(each), BULK) for each in (gone, there)]
        with pytest.raises(BlobGone, match="Put it again"):
            await queue.wait(tickets[0].id, PATIENCE_S)
        assert await queue.wait(tickets[1].id, PATIENCE_S)


async def test_a_page_counts_for_its_queue_as_if_it_were_in_the_job(
    redis_server: RedisServer, redis_client: redis.Redis, blobs: BlobStore, worker: ThreadWorker
):
    large = page(1)
    redis_client.set("rq:suspended", 1)
    await until(lambda: worker.is_suspended)
    queue = JobQueue(connect_async(redis_server.url), Settings(queue_bytes=2 * large.part.size_bytes))
    await queue.start()
    try:
        blobs.put(large)
        tickets = [await queue.submit(job_of(large), BULK)]
        with pytest.raises(Overloaded, match="bytes"):
            await queue.submit(job_of(large), BULK)
        redis_client.delete("rq:suspended")
        assert await queue.wait(tickets[0].id, PATIENCE_S)
    finally:
        await queue.aclose()


async def test_a_worker_sweeps_what_a_sender_that_died_has_left(tmp_path: Path, redis_server: RedisServer):
    folder, blob = BlobFolder(tmp_path), page(1)
    folder.put(blob)
    os.utime(tmp_path / blob.part.digest, (1, 1))
    runner = NoopPages()
    made = ThreadWorker(
        connect(redis_server.url),
        preloaded({runner.info.id: runner}),
        {runner.info.id: LIMITS},
        SETTINGS,
        lambda work: work(),
        blobs=folder,
    )
    with started(made):
        await until(lambda: not os.listdir(tmp_path))
