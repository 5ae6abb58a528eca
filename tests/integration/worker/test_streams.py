"""Answers that are published as they are written: a real Redis, a whole worker, a fake model."""

import asyncio
import time
from collections.abc import Iterator

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.errors import InternalError, InvalidInput, JobCanceled, UnknownJob
from jobs.generate import GenerateJob, GenerateResult, Pieces, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.store import keys
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer
from tests.support.fake_generator import FakeGenerator
from tests.support.running_worker import INTERACTIVE, SETTINGS, ThreadWorker, running_worker
from tests.support.waiting import PATIENCE_S, until, until_async, within
from workers.queue.client import WorkerQueue
from workers.queue.execution import QueueCapacity


@pytest.fixture
def generator() -> FakeGenerator:
    return FakeGenerator()


@pytest.fixture
def worker(
    redis_server: RedisServer, redis_client: redis.Redis, generator: FakeGenerator
) -> Iterator[ThreadWorker]:
    with running_worker(redis_server.url, generator, release=generator.decoder.gate) as worker:
        yield worker


def ask(text: str, *, stream: bool = True, **changes: object) -> GenerateJob:
    return GenerateJob(model="fake-chat", prompt=Prompt(text), stream=stream, **changes)  # pyright: ignore[reportArgumentType]


async def read(queue: JobQueue, job_id: str, after: int = 0) -> list[tuple[int, Pieces]]:
    return [event async for event in queue.stream(job_id, after)]


def text_of(events: list[tuple[int, Pieces]], choice: int = 0) -> str:
    return "".join(piece.text for _, each in events for piece in each.pieces if piece.choice == choice)


async def answer(queue: JobQueue, text: str, **changes: object) -> GenerateResult:
    ticket = await queue.submit(ask(text, stream=False, **changes), INTERACTIVE)
    result = await queue.wait(ticket.id, 60)
    assert isinstance(result, GenerateResult)
    return result


async def test_a_stream_is_the_answer_in_numbered_events(queue: JobQueue):
    ticket = await queue.submit(ask("hello"), INTERACTIVE)
    events = await read(queue, ticket.id)
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert text_of(events) == "hello"
    assert events[-1][1].pieces[-1].finish_reason == "length"
    assert events[0][1].prompt_tokens == 5


async def test_who_comes_late_or_back_misses_nothing_and_gets_nothing_twice(queue: JobQueue):
    ticket = await queue.submit(ask("a long answer", max_tokens=50), INTERACTIVE)
    all_events = await read(queue, ticket.id)
    for after in (0, 1, len(all_events) // 2, len(all_events) - 1, len(all_events)):
        assert await read(queue, ticket.id, after) == all_events[after:]


async def test_many_streams_at_once_do_not_mix(queue: JobQueue, generator: FakeGenerator):
    texts = [f"answer number {n} " * (n % 5 + 1) for n in range(40)]

    async def one(text: str) -> str:
        ticket = await queue.submit(ask(text), INTERACTIVE)
        return text_of(await read(queue, ticket.id))

    assert await asyncio.gather(*map(one, texts)) == texts
    assert generator.decoder.most > 5


async def test_several_answers_to_one_prompt_share_a_stream(queue: JobQueue):
    ticket = await queue.submit(ask("abc", n=3), INTERACTIVE)
    events = await read(queue, ticket.id)
    assert [text_of(events, choice) for choice in range(3)] == ["abc"] * 3
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, GenerateResult)
    assert [choice.text for choice in result.choices] == ["abc"] * 3


async def test_without_a_stream_only_the_result_is_kept(queue: JobQueue, redis_client: redis.Redis):
    assert (await answer(queue, "whole")).choices[0].text == "whole"
    assert not redis_client.keys("mlxq:stream:*")


async def test_a_stop_text_ends_the_answer_and_frees_its_slot(queue: JobQueue, generator: FakeGenerator):
    result = await answer(queue, "one two three ", stop=("two",), max_tokens=5000)
    assert result.choices[0].text == "one "
    assert (result.choices[0].finish_reason, result.choices[0].stop) == ("stop", "two")
    await until(lambda: len(generator.decoder) == 0)


async def test_the_last_event_tells_which_stop_text_ended_the_answer(queue: JobQueue):
    ticket = await queue.submit(ask("one two three ", stop=("four", "two"), max_tokens=5000), INTERACTIVE)
    pieces = [piece for _, event in await read(queue, ticket.id) for piece in event.pieces]
    assert [piece.stop for piece in pieces] == [None] * (len(pieces) - 1) + ["two"]


async def test_a_result_tells_what_the_prompt_and_the_tokens_took(queue: JobQueue, generator: FakeGenerator):
    generator.decoder.pause_s = step_s = 0.02
    started = time.monotonic()
    result = await answer(queue, "abc", max_tokens=6)
    waited_s = time.monotonic() - started
    assert result.prompt_s >= step_s
    assert result.generate_s >= 5 * step_s
    assert result.prompt_s + result.generate_s <= waited_s
    assert (await answer(queue, "abc", max_tokens=1)).generate_s == 0.0


async def test_a_canceled_answer_leaves_the_device(queue: JobQueue, generator: FakeGenerator):
    generator.decoder.pause_s = 0.01
    ticket = await queue.submit(ask("endless ", max_tokens=5000), INTERACTIVE)
    stream = queue.stream(ticket.id)
    await anext(stream)
    assert await queue.cancel(ticket.id)
    with pytest.raises(JobCanceled):
        async for _ in stream:
            pass
    await until(lambda: len(generator.decoder) == 0)
    assert generator.decoder.steps < 5000


async def test_when_its_worker_is_lost_another_goes_on_from_what_was_published(
    queue: JobQueue,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    worker: ThreadWorker,
    generator: FakeGenerator,
):
    generator.decoder.pause_s = 0.005
    expected = ("0123456789" * 30)[:300]
    ticket = await queue.submit(ask("0123456789", max_tokens=300), INTERACTIVE)
    events: list[tuple[int, Pieces]] = []
    stream = queue.stream(ticket.id)
    while len(events) < 20:
        events.append(await anext(stream))
    # As if the worker had been frozen past its lease, and goes on writing when it wakes.
    WorkerQueue(redis_client, "another", lease_s=1, max_crashes=9).reclaim_hung(
        [active.claim for active in worker._in_flight.jobs()]
    )
    events += [event async for event in stream]
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert text_of(events) == expected
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, GenerateResult)
    assert result.choices[0].text == expected
    assert result.choices[0].tokens == 300


@pytest.mark.parametrize("deaths", [1, 2, 3])
async def test_after_deaths_of_another_worker_short_answers_go_on_beside_a_long_one(
    queue: JobQueue, redis_client: redis.Redis, generator: FakeGenerator, worker: ThreadWorker, deaths: int
):
    generator.decoder.gate.clear()  # the long one takes as long as the test
    long = await queue.submit(ask("long", max_tokens=300), INTERACTIVE)
    await until(lambda: worker.jobs_in_flight == 1)
    redis_client.set(keys.SUSPENDED, 1)
    await until(lambda: worker.is_suspended)
    hurt = await queue.submit(ask("hurt"), INTERACTIVE)
    for death in range(deaths):
        other = WorkerQueue(redis_client, f"dying {death}", lease_s=1, max_crashes=9)
        capacities = [QueueCapacity("generate:fake-chat:interactive", 1 << 30, 9)]
        if other.claim(capacities, max_jobs=9, is_idle=True).has_turn:
            other.claim(capacities, max_jobs=9, suspect=True)
        assert other.reclaim_own() == (1, 0)
    short = await queue.submit(ask("short", max_tokens=5), INTERACTIVE)
    redis_client.delete(keys.SUSPENDED)
    await until(lambda: worker.jobs_in_flight == 2 + (deaths == 1))  # with the long one still there
    generator.decoder.gate.set()
    assert text_of(await read(queue, short.id)) == "short"
    assert text_of(await read(queue, hurt.id)) == "hurt"
    await queue.wait(long.id, PATIENCE_S)


async def test_events_that_were_missed_are_read_from_the_log(queue: JobQueue):
    deliver = queue._outcomes._open
    received = iter(range(10**6))

    def deaf(message: bytes) -> None:
        if next(received) % 3 == 0:
            deliver(message)

    queue._outcomes._open = deaf
    ticket = await queue.submit(ask("some text that is long enough", max_tokens=100), INTERACTIVE)
    events = await within(read(queue, ticket.id))
    assert text_of(events) == ("some text that is long enough" * 4)[:100]


async def test_an_answer_that_breaks_the_step_fails_alone(queue: JobQueue):
    good = [asyncio.create_task(answer(queue, f"text {n} ", max_tokens=200)) for n in range(5)]
    with pytest.raises(InternalError):
        await answer(queue, "raise")
    assert [(await each).choices[0].text for each in good] == [(f"text {n} " * 40)[:200] for n in range(5)]


async def test_an_invalid_prompt_is_refused_in_the_stream(queue: JobQueue):
    ticket = await queue.submit(ask("invalid"), INTERACTIVE)
    with pytest.raises(InvalidInput, match="not this one"):
        await read(queue, ticket.id)


async def test_only_streaming_jobs_have_streams(queue: JobQueue):
    ticket = await queue.submit(ask("text", stream=False), SubmitOptions())
    with pytest.raises(InvalidInput, match="stream"):
        await read(queue, ticket.id)
    with pytest.raises(UnknownJob):
        await read(queue, "0" * 20)


async def test_a_worker_that_stops_gives_its_answers_back_to_go_on_elsewhere(
    redis_server: RedisServer, redis_client: redis.Redis
):
    client = JobQueue(connect_async(redis_server.url), SETTINGS)
    await client.start()
    first, second = FakeGenerator(), FakeGenerator()
    first.decoder.pause_s = 0.01
    with running_worker(redis_server.url, first, release=first.decoder.gate):
        await until_ready(client)
        ticket = await client.submit(ask("abcdefghij", max_tokens=200), INTERACTIVE)
        stream = client.stream(ticket.id)
        events = [await anext(stream) for _ in range(10)]
    with running_worker(redis_server.url, second, release=second.decoder.gate):
        events += [event async for event in stream]
    assert text_of(events) == "abcdefghij" * 20
    assert 0 < second.decoder.steps < 200
    await client.aclose()


async def test_an_answer_that_was_published_to_its_end_before_the_worker_died_is_not_written_again(
    redis_server: RedisServer, redis_client: redis.Redis
):
    client = JobQueue(connect_async(redis_server.url), SETTINGS)
    await client.start()
    first, second = FakeGenerator(), FakeGenerator()
    with running_worker(redis_server.url, first) as worker:
        await until_ready(client)
        worker._result_loop.complete = lambda active: None  # it dies before FINISH
        ticket = await client.submit(ask("all of it", stop=("f it",)), INTERACTIVE)
        stream = client.stream(ticket.id)
        events = [await anext(stream)]
        while events[-1][1].pieces[-1].finish_reason is None:
            events.append(await anext(stream))
    with running_worker(redis_server.url, second):
        events += [event async for event in stream]
    assert text_of(events) == "all o"
    assert second.decoder.steps == 0
    result = await client.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, GenerateResult)
    assert (result.choices[0].text, result.choices[0].stop) == ("all o", "f it")
    assert (result.prompt_s, result.generate_s) == (0.0, 0.0)
    await client.aclose()


async def test_a_prompt_is_counted_without_the_device(queue: JobQueue, generator: FakeGenerator):
    ticket = await queue.submit(ask("count me", stream=False, count_only=True), INTERACTIVE)
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert result == GenerateResult(choices=(), prompt_tokens=8)
    assert generator.decoder.steps == 0


async def test_bulk_answers_leave_places_for_interactive_ones(queue: JobQueue, generator: FakeGenerator):
    generator.decoder.pause_s = 0.002
    bulk = [
        await queue.submit(ask("bulk " * 20, max_tokens=4000), SubmitOptions(lane=Lane.BULK))
        for _ in range(100)
    ]
    await until(lambda: len(generator.decoder) == SETTINGS.max_answers * 3 // 4)
    steps = generator.decoder.steps
    await until(lambda: generator.decoder.steps > steps + 20)  # time enough for more to begin
    assert len(generator.decoder) == SETTINGS.max_answers * 3 // 4
    assert (await within(answer(queue, "quick"))).choices[0].text == "quick"
    for ticket in bulk:
        await queue.cancel(ticket.id)


async def until_ready(client: JobQueue) -> None:
    await until_async(client.ready)
