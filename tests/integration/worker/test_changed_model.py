"""A stream that one model began and another one finds."""

import pytest
import redis
from msgspec.structs import replace

from jobs.client.queue import JobQueue
from jobs.errors import InternalError, ModelChanged
from jobs.generate import GenerateJob, Piece, Pieces, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.machines.announcements import encode_model
from jobs.store import keys, record
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer
from tests.support.fake_generator import FakeGenerator, byte_tokenizer
from tests.support.running_worker import SETTINGS, running_worker
from tests.support.waiting import PATIENCE_S
from workers.queue.client import WorkerQueue
from workers.queue.execution import QueueCapacity

STORY = GenerateJob(model="w", prompt=Prompt("once upon"), max_tokens=9, stream=True)
BEGUN = "once"


@pytest.mark.parametrize(("begun_by", "is_continued"), [("old", False), ("new", True), ("", True)])
async def test_an_answer_is_continued_by_the_model_that_began_it_alone(
    redis_server: RedisServer, redis_client: redis.Redis, begun_by: str, *, is_continued: bool
):
    generator = FakeGenerator("w")
    generator.info = replace(generator.info, digest="new")
    now, _ = redis_client.time()  # pyright: ignore[reportGeneralTypeIssues]
    redis_client.hset(keys.MODELS, "w", encode_model(generator.info, now))
    queue = JobQueue(connect_async(redis_server.url), SETTINGS)
    await queue.start()
    try:
        ticket = await queue.submit(STORY, SubmitOptions(lane=Lane.DEFAULT))
        begin(redis_client, begun_by)
        texts: list[str] = []
        with running_worker(redis_server.url, generator):
            if is_continued:
                await read(queue, ticket.id, texts)
                assert "".join(texts) == "once upon"
            else:
                with pytest.raises(ModelChanged, match="Send the request again"):
                    await read(queue, ticket.id, texts)
                assert texts == [BEGUN]
                assert (await queue.view(ticket.id)).status == "failed"
    finally:
        await queue.aclose()


async def read(queue: JobQueue, job_id: str, texts: list[str]) -> None:
    """Gathers the stream's texts, also those before its error."""
    async for _, pieces in queue.stream(job_id):
        texts += [piece.text for piece in pieces.pieces]


def begin(redis_client: redis.Redis, digest: str) -> None:
    """An earlier worker has written the first words, and gives the job back."""
    earlier = WorkerQueue(redis_client, "earlier", lease_s=10, max_crashes=3)
    [claim] = earlier.claim(
        [QueueCapacity("generate:w:default", 10_000, 1)], max_jobs=1, suspect=False
    ).claims
    event = Pieces(
        9, 0, (Piece(text=BEGUN, tokens=tuple(byte_tokenizer().encode(BEGUN).ids)),), digest=digest
    )
    assert not earlier.emit([(claim, 1, record.pack(event))]).lost
    earlier.release([claim])
    earlier.leave()


@pytest.mark.parametrize("entry", [{"pieces": b"\xc1garbage"}, {"other": b"field"}])
async def test_a_log_that_cannot_be_read_fails_its_job_and_ends_no_worker(
    redis_server: RedisServer, redis_client: redis.Redis, entry: dict[str | bytes, bytes]
):
    generator = FakeGenerator("w")
    now, _ = redis_client.time()  # pyright: ignore[reportGeneralTypeIssues]
    redis_client.hset(keys.MODELS, "w", encode_model(generator.info, now))
    queue = JobQueue(connect_async(redis_server.url), SETTINGS)
    await queue.start()
    try:
        ticket = await queue.submit(STORY, SubmitOptions())
        redis_client.xadd(keys.stream(ticket.id), entry, id="1-0")  # pyright: ignore[reportArgumentType]
        with running_worker(redis_server.url, generator) as worker:
            with pytest.raises(InternalError, match="The beginning of this answer is lost"):
                await queue.wait(ticket.id, PATIENCE_S)
            sound = await queue.submit(replace(STORY, stream=False), SubmitOptions())
            assert await queue.wait(sound.id, PATIENCE_S)
            assert not worker._is_broken
    finally:
        await queue.aclose()


async def test_the_first_event_names_the_model_that_writes_it(
    redis_server: RedisServer, redis_client: redis.Redis
):
    generator = FakeGenerator("w")
    generator.info = replace(generator.info, digest="new")
    queue = JobQueue(connect_async(redis_server.url), SETTINGS)
    await queue.start()
    try:
        with running_worker(redis_server.url, generator):
            now, _ = redis_client.time()  # pyright: ignore[reportGeneralTypeIssues]
            redis_client.hset(keys.MODELS, "w", encode_model(generator.info, now))
            ticket = await queue.submit(STORY, SubmitOptions())
            first, *others = [pieces.digest async for _, pieces in queue.stream(ticket.id)]
        assert first == "new"
        assert set(others) <= {""}
    finally:
        await queue.aclose()
