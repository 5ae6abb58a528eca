"""What the API asks of a queue: jobs.queue.JobQueue in service, jobs.testing.MemoryQueue in tests."""

from typing import Protocol

from jobs.types import Job, JobView, Lane, ModelInfo, QueueStats, Result, SubmitOptions, Ticket


class Queue(Protocol):
    """Every method but `start` and `aclose` raises QueueUnavailable while Redis is away."""

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        """Raises Overloaded, IdempotencyConflict, UnknownModel, NoWorker."""
        ...

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        """Raises the job's own JobError, UnknownJob, or ResultTimeout, which leaves the job alone."""
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

    async def stats(self) -> QueueStats: ...

    async def models(self) -> tuple[ModelInfo, ...]: ...

    async def ready(self) -> bool: ...
