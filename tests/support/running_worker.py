"""A whole worker in a thread of the test, or in a process of its own, on a fake model."""

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.job import Lane, Result, SubmitOptions
from jobs.settings import Settings
from jobs.store.connection import connect, connect_async
from tests.support.fake_runner import DIMENSIONS
from tests.support.waiting import PATIENCE_S, until_async
from workers.models.model_cache import preloaded
from workers.runners.contract import Runner
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker

SETTINGS = Settings(lease_s=1, sweep_s=0.5, batch_timeout_s=60)
LIMITS = BatchLimits(tokens=256, items=64, padding=0.5, free_padding=64)
INTERACTIVE = SubmitOptions(lane=Lane.INTERACTIVE, awaited=True)


class ThreadWorker(BatchWorker):
    """A worker beside the test: signals belong to the main thread."""

    has_ended = False
    ticks = 0
    """How often the main thread has looked after everything: ten times a second."""

    def _install_signal_handlers(self) -> None:
        pass

    def work(self, *_: Any, **__: Any) -> bool:
        try:
            return super().work()
        finally:
            self.has_ended = True

    def _tick(self) -> None:
        super()._tick()
        self.ticks += 1

    def stop(self) -> None:
        self._stop_requested = True

    @property
    def is_suspended(self) -> bool:
        """It has seen that the queue is suspended."""
        return self._heartbeat.is_suspended

    @property
    def jobs_in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def items_ready(self) -> int:
        """Prepared, and waiting for the device."""
        return len(self._in_flight._queue)


@contextmanager
def running_worker(
    url: str, runner: Runner, settings: Settings = SETTINGS, *, release: threading.Event | None = None
) -> Iterator[ThreadWorker]:
    """release: set before the worker is stopped, in case it holds the device up."""
    model = runner.info.id
    worker = ThreadWorker(
        connect(url), preloaded({model: runner}), {model: LIMITS}, settings, lambda work: work()
    )
    with started(worker):
        try:
            yield worker
        finally:
            if release:
                release.set()


@contextmanager
def started(worker: ThreadWorker) -> Iterator[None]:
    thread = threading.Thread(target=worker.work)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@asynccontextmanager
async def open_queue(url: str) -> AsyncIterator[JobQueue]:
    """A client, once a worker is ready."""
    queue = JobQueue(connect_async(url), SETTINGS)
    await queue.start()
    await until_async(queue.ready)
    try:
        yield queue
    finally:
        await queue.aclose()


@asynccontextmanager
async def working_queue(url: str, runner: Runner) -> AsyncIterator[JobQueue]:
    """A client of a worker that runs as long."""
    with running_worker(url, runner):
        async with open_queue(url) as queue:
            yield queue


def job(*texts: str) -> EmbedJob:
    return EmbedJob(model="fake", inputs=texts)


async def run(queue: JobQueue, *texts: str, options: SubmitOptions = INTERACTIVE) -> EmbedResult:
    ticket = await queue.submit(job(*texts), options)
    return embedded(await queue.wait(ticket.id, PATIENCE_S))


def embedded(result: Result) -> EmbedResult:
    assert isinstance(result, EmbedResult)
    return result


def vectors(result: Result) -> list[bytes]:
    result = embedded(result)
    size = 4 * DIMENSIONS
    return [result.vectors[at : at + size] for at in range(0, len(result.vectors), size)]


async def has_status(queue: JobQueue, job_id: str, status: str) -> bool:
    return (await queue.view(job_id)).status == status


@contextmanager
def worker_process(url: str, name: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """One that is gone in the end, whatever the test did with it. more: see worker_process.py."""
    script = Path(__file__).with_name("worker_process.py")
    process = subprocess.Popen([sys.executable, str(script), url, name, *more], cwd=Path.cwd())
    try:
        yield process
    finally:
        process.kill()
        process.wait()
