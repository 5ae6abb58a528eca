"""What the API asks of a queue: JobQueue (jobs.client.queue) in service, MemoryQueue (tests.support) in tests."""

from collections.abc import AsyncGenerator
from typing import Protocol

from jobs.generate import Pieces
from jobs.job import Job, JobView, Lane, Result, SubmitOptions, Ticket
from jobs.models import ModelInfo
from jobs.stats import QueueStats


class Queue(Protocol):
    """Every method but `start` and `aclose` raises QueueUnavailable while Redis is away."""

    async def start(self) -> None:
        """Called once before all else, in the event loop that serves."""
        ...

    async def aclose(self) -> None:
        """Called once after all else."""
        ...

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        """Raises Overloaded, IdempotencyConflict, UnknownModel, NoWorker."""
        ...

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        """Raises the job's own JobError, UnknownJob, or what leaves the job alone: ResultTimeout, and NoWorker where
        the job was submitted to be waited for and no worker has served its model for a while.
        """
        ...

    def stream(self, job_id: str, after: int = 0) -> AsyncGenerator[tuple[int, Pieces]]:
        """A streaming generation's events from number `after` + 1 on, each with its number; ends when the job does.

        Raises the job's own JobError (also after some events), UnknownJob, and InvalidInput for a job that does not
        stream, and NoWorker as `wait` does. Close it (contextlib.aclosing) to stop listening; the job goes on.
        """
        ...

    async def cancel(self, job_id: str) -> bool:
        """False where the job had already ended. Raises UnknownJob."""
        ...

    async def view(self, job_id: str) -> JobView:
        """Raises UnknownJob."""
        ...

    async def views(
        self, *, status: str | None, model: str | None, lane: Lane | None, limit: int, offset: int
    ) -> list[JobView]:
        """Newest first, without results."""
        ...

    async def stats(self) -> QueueStats:
        """Counts per queue and lane, and the live workers."""
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models that jobs can be sent to, in the order of their ids."""
        ...

    async def ready(self) -> bool:
        """Whether there is a live worker. Answers within two seconds."""
        ...
