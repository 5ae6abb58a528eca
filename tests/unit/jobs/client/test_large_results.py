"""Results that lie beside their jobs: in parts in Redis, or in files that workers and API share."""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.embed import EmbedResult
from jobs.errors import InvalidInput, UnknownJob, UnreadableResult
from jobs.job import SubmitOptions
from jobs.results.folder import ResultFolder
from jobs.settings import Settings
from jobs.store import keys, record
from tests.support.queue_jobs import claim_all, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome, failed
from workers.queue.result_store import ResultStore

LARGE = EmbedResult(dimensions=1, vectors=random.Random(1).randbytes(2 * record.PART_BYTES), tokens=(3,))
MIDDLING = EmbedResult(dimensions=1, vectors=random.Random(1).randbytes(40_000), tokens=(3,))


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "results")


@pytest.fixture
def filing(worker_queue: WorkerQueue, server: fakeredis.FakeServer, folder: ResultFolder) -> WorkerQueue:
    """A worker that puts large results into files."""
    redis = fakeredis.FakeRedis(server=server)
    return WorkerQueue(
        redis, worker_queue.worker, lease_s=10, max_crashes=3, results=ResultStore(redis, folder)
    )


@pytest.fixture
async def reading(server: fakeredis.FakeServer, folder: ResultFolder) -> AsyncIterator[JobQueue]:
    """An API process with the same folder."""
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(), results=folder)
    await queue.start()
    yield queue
    await queue.aclose()


async def finished(
    queue: JobQueue, worker_queue: WorkerQueue, result: EmbedResult, ttl_s: int = 60, *, awaited: bool = True
) -> str:
    ticket = await queue.submit(job(), SubmitOptions(awaited=awaited, result_ttl_s=ttl_s))
    (claim,), _ = claim_all(worker_queue)
    stored = worker_queue.store(claim, result)
    assert len(stored) < 200
    assert worker_queue.finish([Outcome(claim, "finished", ttl_s, stored)], 0) == (set(), [])
    return ticket.id


@pytest.mark.parametrize(("result", "parts"), [(MIDDLING, 1), (LARGE, 3)])
async def test_a_large_result_lies_in_redis_in_parts_and_goes_with_its_job(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    server: fakeredis.FakeServer,
    result: EmbedResult,
    parts: int,
):
    job_id = await finished(queue, worker_queue, result)
    redis = fakeredis.FakeRedis(server=server)
    (key,) = redis.keys("mlxq:blob:*")
    assert redis.hlen(key) == parts
    assert max(map(len, redis.hvals(key))) <= record.PART_BYTES
    assert 60 < redis.ttl(key) <= 120
    assert await queue.wait(job_id, 60) == result
    assert (await queue.view(job_id)).result == result
    redis.delete(key)
    with pytest.raises(UnknownJob):
        await queue.view(job_id)


@pytest.mark.parametrize("left", [0, 2])
async def test_a_job_whose_large_result_redis_has_lost_before_its_end_is_done_again(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer, left: int
):
    ticket = await queue.submit(job(), SubmitOptions(result_ttl_s=60))
    (claim,), _ = claim_all(worker_queue)
    stored = worker_queue.store(claim, LARGE)
    redis = fakeredis.FakeRedis(server=server)
    redis.hdel(keys.blob(claim.execution), *map(str, range(left, 3)))  # the end of its file, say
    assert worker_queue.finish([Outcome(claim, "finished", 60, stored)], 0) == (set(), [])
    assert not redis.exists(keys.blob(claim.execution), keys.results(ticket.id))
    (again,), _ = claim_all(worker_queue)
    assert again.id == ticket.id
    worker_queue.finish([Outcome(again, "finished", 60, worker_queue.store(again, LARGE))], 0)
    assert (await queue.view(ticket.id)).result == LARGE


async def test_a_large_result_is_a_file_where_there_is_a_folder(
    reading: JobQueue, filing: WorkerQueue, folder: ResultFolder, server: fakeredis.FakeServer
):
    job_id = await finished(reading, filing, LARGE)
    (name,) = os.listdir(folder.path)
    assert name.startswith(job_id)
    assert not fakeredis.FakeRedis(server=server).keys("mlxq:blob:*")
    assert await reading.wait(job_id, 60) == LARGE
    assert (await reading.view(job_id)).result == LARGE
    folder.remove(name)
    with pytest.raises(UnknownJob):
        await reading.view(job_id)


async def test_a_result_of_some_kilobytes_is_no_file(
    reading: JobQueue, filing: WorkerQueue, folder: ResultFolder
):
    job_id = await finished(reading, filing, MIDDLING)
    assert not folder.path.exists()
    assert (await reading.view(job_id)).result == MIDDLING


async def test_an_api_process_without_the_folder_says_what_to_set(queue: JobQueue, filing: WorkerQueue):
    job_id = await finished(queue, filing, LARGE)
    with pytest.raises(UnreadableResult, match="MLXQ_RESULTS"):
        await queue.view(job_id)
    with pytest.raises(UnreadableResult, match="MLXQ_RESULTS"):
        await queue.wait(job_id, 60)


async def test_an_api_process_whose_folder_is_not_mounted_says_so(
    reading: JobQueue, filing: WorkerQueue, folder: ResultFolder
):
    job_id = await finished(reading, filing, LARGE)
    folder.path.rename(folder.path.with_name("elsewhere"))
    with pytest.raises(UnreadableResult, match="the same MLXQ_RESULTS"):
        await reading.view(job_id)


async def test_a_folder_that_cannot_be_written_leaves_the_result_to_redis(
    reading: JobQueue, filing: WorkerQueue, folder: ResultFolder, caplog: pytest.LogCaptureFixture
):
    folder.path.write_text("no folder")
    job_id = await finished(reading, filing, LARGE)
    assert (await reading.view(job_id)).result == LARGE
    assert "goes to Redis" in caplog.text


async def test_what_lies_beside_a_job_that_was_canceled_meanwhile_is_removed(
    reading: JobQueue, filing: WorkerQueue, folder: ResultFolder, server: fakeredis.FakeServer
):
    for result in (LARGE, MIDDLING):
        ticket = await reading.submit(job(), SubmitOptions(result_ttl_s=60))
        (claim,), _ = claim_all(filing)
        stored = filing.store(claim, result)
        await reading.cancel(ticket.id)
        assert filing.finish([Outcome(claim, "finished", 60, stored)], 0) == ({claim.member}, [])
    assert os.listdir(folder.path) == []
    assert not fakeredis.FakeRedis(server=server).keys("mlxq:blob:*")


@pytest.mark.parametrize("latest_first", [True, False])
async def test_a_result_stays_where_an_earlier_execution_of_the_same_job_ends_with_it(
    reading: JobQueue, worker_queue: WorkerQueue, latest_first: bool
):
    ticket = await reading.submit(job(), SubmitOptions(result_ttl_s=60))
    (earlier,), _ = claim_all(worker_queue)
    worker_queue.reclaim_hung([earlier])
    (latest,), _ = claim_all(worker_queue)
    claims = [latest, earlier] if latest_first else [earlier, latest]
    outcomes = [Outcome(claim, "finished", 60, worker_queue.store(claim, LARGE)) for claim in claims]
    assert worker_queue.finish(outcomes, 0) == ({earlier.member}, [])
    assert (await reading.view(ticket.id)).result == LARGE


async def test_a_result_kept_for_ever_is_kept_for_ever_and_that_of_a_dead_worker_is_not(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    redis = fakeredis.FakeRedis(server=server)
    await finished(queue, worker_queue, LARGE, -1)
    (kept,) = redis.keys("mlxq:blob:*")
    await queue.submit(job(), SubmitOptions(result_ttl_s=-1))
    (claim,), _ = claim_all(worker_queue)
    worker_queue.store(claim, LARGE)  # and now it dies
    (left,) = {*redis.keys("mlxq:blob:*")} - {kept}
    assert redis.ttl(kept) == -1
    assert 0 < redis.ttl(left) <= 86_400


async def test_a_sweep_removes_files_whose_time_is_over_and_whose_jobs_are_gone(
    reading: JobQueue, filing: WorkerQueue, folder: ResultFolder, server: fakeredis.FakeServer
):
    gone, there, fresh = [await finished(reading, filing, LARGE, awaited=False) for _ in range(3)]
    names = {name.partition(".")[0]: name for name in os.listdir(folder.path)}
    for job_id in (gone, there):
        os.utime(folder.path / names[job_id], (1, 1))
    for job_id in (gone, fresh):
        fakeredis.FakeRedis(server=server).delete(keys.job(job_id))
    filing.sweep()
    assert set(os.listdir(folder.path)) == {names[there], names[fresh]}


@pytest.mark.parametrize("result", [EmbedResult(1, bytes(4), (3,)), MIDDLING, LARGE])
@pytest.mark.parametrize("ttl_s", [60, -1])
async def test_a_deleted_job_leaves_no_key_and_no_file(
    reading: JobQueue,
    filing: WorkerQueue,
    folder: ResultFolder,
    server: fakeredis.FakeServer,
    result: EmbedResult,
    ttl_s: int,
):
    redis = fakeredis.FakeRedis(server=server)
    await reading.submit(job(), SubmitOptions())
    claim_all(filing)
    before = set(redis.keys())
    options = SubmitOptions(idempotency_key="k", result_ttl_s=ttl_s)
    ticket = await reading.submit(job(), options)
    (claim,), _ = claim_all(filing)
    assert await reading.delete(ticket.id) is None  # it has not ended
    filing.finish([Outcome(claim, "finished", ttl_s, filing.store(claim, result))], 0)
    deleted = await reading.delete(ticket.id)
    assert deleted is not None
    assert (deleted.status, deleted.result) == ("finished", None)
    assert set(redis.keys()) - before <= {
        b"mlxq:wake:embed:m:default",
        f"mlxq:claimed:{filing.worker}".encode(),
    }
    assert not folder.path.exists() or os.listdir(folder.path) == []
    with pytest.raises(UnknownJob):
        await reading.delete(ticket.id)
    assert (await reading.submit(job(), options)).created


async def test_a_deleted_job_whose_dependents_wait_is_there_for_them(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    redis = fakeredis.FakeRedis(server=server)
    ticket = await queue.submit(job(), SubmitOptions())
    redis.sadd(keys.job(ticket.id) + ":dependents", "another")
    (claim,), _ = claim_all(worker_queue)
    stored = worker_queue.store(claim, EmbedResult(1, bytes(4), (3,)))
    assert worker_queue.finish([Outcome(claim, "finished", 60, stored)], 0) == (set(), [ticket.id])
    await queue.delete(ticket.id)
    assert 60 < redis.ttl(keys.job(ticket.id)) <= 3600
    assert redis.exists(keys.job(ticket.id) + ":dependents")
    assert not redis.exists(keys.results(ticket.id))


async def test_a_failed_and_a_canceled_job_can_be_deleted_too(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    failing, canceled = [await queue.submit(job(), SubmitOptions()) for _ in range(2)]
    await queue.cancel(canceled.id)
    (claim,), _ = claim_all(worker_queue)
    worker_queue.finish([failed(claim, InvalidInput("no").failure())], 0)
    for ticket in (failing, canceled):
        assert await queue.delete(ticket.id) is not None
        with pytest.raises(UnknownJob):
            await queue.view(ticket.id)
    page = await queue.views(status=None, model=None, lane=None, limit=10)
    assert list(page.jobs) == []


async def test_a_result_is_added_after_those_that_are_there_though_time_went_back(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    redis = fakeredis.FakeRedis(server=server)
    ticket = await queue.submit(job(), SubmitOptions())
    redis.xadd(keys.results(ticket.id), {"type": 2}, id="9999999999999-5")
    (claim,), _ = claim_all(worker_queue)
    outcome = Outcome(claim, "finished", 60, worker_queue.store(claim, EmbedResult(1, bytes(4), (3,))))
    assert worker_queue.finish([outcome], 0) == (set(), [])
    assert worker_queue.finish([outcome], 0) == (set(), [])  # the reply to the first call was lost
    assert redis.xlen(keys.results(ticket.id)) == 2
    assert (await queue.view(ticket.id)).result == EmbedResult(1, bytes(4), (3,))
