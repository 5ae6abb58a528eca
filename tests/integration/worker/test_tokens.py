"""Tokenising goes through the queue of a model's own task: a real Redis, whole workers, fake models."""

from collections.abc import Iterator

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.errors import InvalidInput
from jobs.generate import GenerateJob, GenerateResult, Prompt
from jobs.store.redis_server import RedisServer
from jobs.tokenize import DetokenizeJob, DetokenizeResult, TokenizeJob, TokenizeResult
from tests.support.fake_generator import FakeGenerator
from tests.support.running_worker import INTERACTIVE, ThreadWorker, running_worker
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def generator() -> FakeGenerator:
    return FakeGenerator()


@pytest.fixture
def worker(
    redis_server: RedisServer, redis_client: redis.Redis, generator: FakeGenerator
) -> Iterator[ThreadWorker]:
    with running_worker(redis_server.url, generator, release=generator.decoder.gate) as worker:
        yield worker


async def test_a_generators_tokenizer_answers_without_the_device(queue: JobQueue, generator: FakeGenerator):
    ticket = await queue.submit(TokenizeJob("fake-chat", "generate", ("añ", "")), INTERACTIVE)
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, TokenizeResult)
    [ids, none] = [memoryview(each.ids).cast("I").tolist() for each in result.texts]
    assert (len(ids), none) == (3, [])
    ticket = await queue.submit(DetokenizeJob("fake-chat", "generate", (tuple(ids),)), INTERACTIVE)
    assert await queue.wait(ticket.id, PATIENCE_S) == DetokenizeResult(("añ",))
    assert generator.decoder.steps == 0
    assert (await queue.view(ticket.id)).task == "generate"


async def test_answers_beside_it_are_not_held_up(queue: JobQueue):
    jobs = [
        TokenizeJob("fake-chat", "generate", ("ab",)),
        GenerateJob("fake-chat", Prompt("hello")),
        DetokenizeJob("fake-chat", "generate", ((1 << 20,),)),
        GenerateJob("fake-chat", Prompt("there")),
    ]
    tickets = [await queue.submit(job, INTERACTIVE) for job in jobs]
    for ticket, text in ((tickets[1], "hello"), (tickets[3], "there")):
        result = await queue.wait(ticket.id, PATIENCE_S)
        assert isinstance(result, GenerateResult)
        assert result.choices[0].text == text
    with pytest.raises(InvalidInput, match="not in the model's vocabulary"):
        await queue.wait(tickets[2].id, PATIENCE_S)
