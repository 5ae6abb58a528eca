"""Waits for models that no worker serves."""

import asyncio
import contextlib

import fakeredis
import pytest

from jobs.client import watch
from jobs.client.inspector import QueueInspector
from jobs.client.queue import JobQueue
from jobs.errors import (
    NoWorker,
    ResultTimeout,
)
from jobs.generate import GenerateJob, Piece, Pieces, Prompt
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store import record
from tests.support.queue_jobs import RESULT, claim_all, finish, job
from tests.support.waiting import until, within
from workers.queue.client import WorkerQueue
from workers.queue.execution import QueueCapacity


async def test_who_waits_is_told_when_no_worker_has_been_there_for_a_while(hurried: JobQueue):
    ticket = await hurried.submit(job(), SubmitOptions(awaited=True))
    with pytest.raises(NoWorker, match="No worker has served m"):
        await within(hurried.wait(ticket.id, 1000))
    assert (await hurried.view(ticket.id)).status == "queued"

    again = await hurried.submit(job(), SubmitOptions(awaited=True))
    with pytest.raises(NoWorker):  # at once, now that it is known
        await within(hurried.wait(again.id, 1000))


async def test_a_mistake_of_ours_is_no_outage_and_ends_no_watch(
    server: fakeredis.FakeServer,
    worker_queue: WorkerQueue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(watch, "LOOK_S", 0.02)
    original, mistakes = QueueInspector.attendance, [KeyError("a mistake"), KeyError("a mistake")]

    async def attendance(self: QueueInspector):
        if mistakes:
            raise mistakes.pop()
        return await original(self)

    monkeypatch.setattr(QueueInspector, "attendance", attendance)
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())
    await queue.start()
    try:
        await until(lambda: queue._watch._found)
    finally:
        await queue.aclose()
    assert caplog.text.count("KeyError: 'a mistake'") == 2
    assert "Redis cannot be used" not in caplog.text


async def test_a_stream_without_a_worker_ends_before_its_first_event(hurried: JobQueue):
    story = GenerateJob(model="w", prompt=Prompt("a"), stream=True)
    ticket = await hurried.submit(story, SubmitOptions(awaited=True))
    with pytest.raises(NoWorker):
        async for _ in hurried.stream(ticket.id):
            pass


async def test_who_comes_back_with_a_key_is_told_too(hurried: JobQueue):
    options = SubmitOptions(awaited=True, idempotency_key="k")
    first = await hurried.submit(job(), options)
    second = await hurried.submit(job(), options)
    assert (second.id, second.created) == (first.id, False)
    with pytest.raises(NoWorker):
        await within(hurried.wait(second.id, 1000))


async def test_who_asks_for_a_job_of_another_waits_as_long_as_they_said(hurried: JobQueue):
    ticket = await hurried.submit(job(), SubmitOptions())
    with pytest.raises(ResultTimeout):
        await hurried.wait(ticket.id, 0.5)


async def test_a_worker_that_loads_its_models_is_waited_for(
    hurried: JobQueue, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
):
    worker_queue.announce_start()
    ticket = await hurried.submit(job(), SubmitOptions(awaited=True))
    waiting = asyncio.create_task(hurried.wait(ticket.id, 1000))
    checks, checked = 0, hurried._watch._checked

    def count() -> None:
        nonlocal checks
        checks += 1
        checked()

    monkeypatch.setattr(hurried._watch, "_checked", count)
    await until(lambda: checks > 20)  # which takes longer than worker_wait_s
    assert not waiting.done()
    (claim,), _ = claim_all(worker_queue)
    finish(worker_queue, claim)
    assert await within(waiting) == RESULT


async def test_a_stream_that_has_begun_outlives_its_worker(hurried: JobQueue, worker_queue: WorkerQueue):
    story = GenerateJob(model="w", prompt=Prompt("a"), stream=True)
    ticket = await hurried.submit(story, SubmitOptions(awaited=True))
    claims = worker_queue.claim(
        [QueueCapacity("generate:w:default", 10_000, 9)], max_jobs=9, suspect=False
    ).claims
    published = [Pieces(1, 0, (Piece(text=text),)) for text in ("one", "two")]
    worker_queue.emit([(claims[0], 1, record.pack(published[0]))])

    async with contextlib.aclosing(hurried.stream(ticket.id)) as events:
        assert await within(anext(events)) == (1, published[0])
        await until(lambda: hurried._watch.absent_s("w") > 0.5)
        worker_queue.emit([(claims[0], 2, record.pack(published[1]))])
        assert await within(anext(events)) == (2, published[1])


async def test_a_finished_stream_read_again_without_a_worker_is_whole(
    hurried: JobQueue, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
):
    story = GenerateJob(model="w", prompt=Prompt("a"), stream=True)
    options = SubmitOptions(awaited=True, idempotency_key="k")
    first = await hurried.submit(story, options)
    claims = worker_queue.claim(
        [QueueCapacity("generate:w:default", 10_000, 9)], max_jobs=9, suspect=False
    ).claims
    published = [Pieces(1, 0, (Piece(text=text),)) for text in ("one", "two")]
    for number, pieces in enumerate(published, 1):
        worker_queue.emit([(claims[0], number, record.pack(pieces))])
    finish(worker_queue, claims[0])
    assert [event async for event in hurried.stream(first.id)] == [(1, published[0]), (2, published[1])]
    await until(lambda: hurried._watch.absent_s("w") > 0.5)

    again = await hurried.submit(story, options)
    assert not again.created
    assert [event async for event in hurried.stream(again.id)] == [(1, published[0]), (2, published[1])]

    hurried.stop_waiting()
    again = await hurried.submit(story, options)
    assert [event async for event in hurried.stream(again.id)] == [(1, published[0]), (2, published[1])]
