"""Which models jobs are taken for while no worker serves them."""

import time

import fakeredis
import pytest
from msgspec.structs import replace

from jobs.catalogue.details import ModelDetails
from jobs.client.inspector import MODEL_KNOWN_S
from jobs.client.queue import JobQueue
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.generate import GenerateJob, Prompt
from jobs.job import SubmitOptions
from jobs.machines.announcements import encode_model
from jobs.models import LoadedModel
from jobs.settings import Settings
from jobs.stats import WorkerStats
from jobs.store import keys
from tests.support.queue_jobs import INFO, QUEUE, WRITER, job
from workers.queue.client import WorkerQueue
from workers.queue.fleet import Fleet

HOUR_S = 3600


def seen(server: fakeredis.FakeServer, ago_s: float) -> None:
    """A worker announced the model so long ago, by Redis's clock, and is gone."""
    redis = fakeredis.FakeRedis(server=server)
    now, _ = redis.time()
    redis.hset(keys.MODELS, INFO.id, encode_model(INFO, now - ago_s))


def client(server: fakeredis.FakeServer, *declared: str) -> JobQueue:
    return JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(declared_models=declared))


async def test_jobs_are_taken_for_a_model_whose_workers_are_away():
    server = fakeredis.FakeServer()
    seen(server, MODEL_KNOWN_S - HOUR_S)
    queue = client(server)
    assert await queue.models() == (INFO,)
    ticket = await queue.submit(job(), SubmitOptions())
    assert (await queue.view(ticket.id)).status == "queued"
    assert fakeredis.FakeRedis(server=server).llen(keys.queue(QUEUE)) == 1
    with pytest.raises(UnknownModel, match="Did you mean 'm'"):
        await queue.submit(replace(job(), model="mm"), SubmitOptions())


async def test_what_the_files_of_a_model_say_is_told_by_its_worker():
    server = fakeredis.FakeServer()
    redis = fakeredis.FakeRedis(server=server)
    details = ModelDetails(
        "{{ messages }}", "mit", "Qwen3ForCausalLM", {"block_count": 2, "rope.freq_base": 1e6}
    )
    Fleet(redis, "w").announce_details({INFO.id: details})
    Fleet(redis, "w").announce_details({})
    redis.hset(keys.MODEL_DETAILS, "strange", b"\xc1")

    queue = client(server)
    assert await queue.machines.details(INFO.id) == details
    assert [await queue.machines.details(each) for each in ("strange", "other")] == [ModelDetails()] * 2


async def test_a_model_whose_workers_are_long_gone_is_not_offered():
    server = fakeredis.FakeServer()
    seen(server, MODEL_KNOWN_S + HOUR_S)
    queue = client(server)
    assert await queue.models() == ()
    with pytest.raises(NoWorker):
        await queue.submit(job(), SubmitOptions())


async def test_who_waits_for_a_model_whose_workers_are_away_is_told(hurried: JobQueue):
    ticket = await hurried.submit(job(), SubmitOptions(awaited=True))
    with pytest.raises(NoWorker, match="No worker has served m"):
        await hurried.wait(ticket.id, 60)


async def test_jobs_are_taken_for_a_declared_model_that_no_worker_has_served():
    server = fakeredis.FakeServer()
    queue = client(server, "embed:m", "generate:org/writer")
    ticket = await queue.submit(job(), SubmitOptions())
    assert (await queue.view(ticket.id)).status == "queued"
    await queue.submit(GenerateJob(model="writer", prompt=Prompt("a")), SubmitOptions())
    assert fakeredis.FakeRedis(server=server).llen(keys.queue("generate:org/writer:default")) == 1
    with pytest.raises(InvalidInput, match="not for this task"):
        await queue.submit(GenerateJob(model="m", prompt=Prompt("a")), SubmitOptions())
    with pytest.raises(UnknownModel, match="Did you mean 'org/writer'"):
        await queue.submit(GenerateJob(model="writter", prompt=Prompt("a")), SubmitOptions())


async def test_what_a_worker_says_of_a_declared_model_counts(
    worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    queue = client(server, "embed:m", "embed:w")
    declared = await queue.model("w")
    assert not declared.is_announced
    assert await queue.model("m") == INFO
    stats = WorkerStats(name="w1", models=("w",), seen_at=0, jobs_in_hand=0, drain_rate={})
    worker_queue.announce(stats, [WRITER])
    assert await client(server, "embed:w").model("w") == WRITER


@pytest.mark.parametrize("entry", ["m", "embed:", "paint:m", ":m", ""])
def test_a_declared_model_without_a_task_stops_the_start(entry: str):
    with pytest.raises(ValueError, match="is not TASK:NAME, where TASK is one of embed, generate, rerank"):
        Settings(declared_models=(entry,))


@pytest.mark.parametrize("behind_s", [-700, 700])
async def test_a_workers_clock_matters_to_nobody(
    worker_queue: WorkerQueue, server: fakeredis.FakeServer, behind_s: float
):
    theirs = time.time() - behind_s
    loaded = (
        LoadedModel(id="m", size_bytes=1, expires_at=theirs + 60),
        LoadedModel(id="w", size_bytes=1, expires_at=None),
    )
    stats = WorkerStats(
        name="w1", models=("m",), seen_at=theirs, jobs_in_hand=0, drain_rate={}, loaded=loaded
    )
    worker_queue.announce(stats, [INFO])
    queue = client(server)
    assert await queue.models() == (INFO,)
    [worker] = (await queue.stats()).workers
    assert worker.seen_at == pytest.approx(time.time(), abs=30)
    assert worker.loaded[0].expires_at == pytest.approx(time.time() + 60, abs=30)
    assert worker.loaded[1].expires_at is None
