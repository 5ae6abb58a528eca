"""What the API asks of a queue: JobQueue (jobs.client.queue) in service, MemoryQueue (tests.support) in tests."""

from collections.abc import AsyncGenerator
from typing import Protocol

from jobs.chats.store import ChatStore
from jobs.commands.worker_memory import WorkerMemory
from jobs.generate import Pieces
from jobs.job import Job, JobPage, JobView, Lane, Result, SubmitOptions, Ticket
from jobs.machines.machines import Machines
from jobs.models import ModelInfo
from jobs.stats import QueueStats


class Queue(Protocol):
    """Every method but `start` and `aclose` raises QueueUnavailable while Redis is away."""

    @property
    def chats(self) -> ChatStore:
        """Chats that are kept after their answer."""
        ...

    @property
    def machines(self) -> Machines:
        """Where the models lie."""
        ...

    @property
    def memory(self) -> WorkerMemory:
        """What workers have in memory."""
        ...

    async def start(self) -> None:
        """Before everything else. Redis may be away."""
        ...

    async def aclose(self) -> None:
        """After everything else."""
        ...

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        """The job is queued under its model's id, whatever name it has for the model.

        Raises what `model` raises, ResultTooLarge, Overloaded, IdempotencyConflict.
        """
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

    async def delete(self, job_id: str) -> JobView | None:
        """Frees all that is kept of an ended job: it as it was, without its result. None where it has not ended.

        Raises UnknownJob.
        """
        ...

    async def view(self, job_id: str) -> JobView:
        """Raises UnknownJob."""
        ...

    async def views(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        lane: Lane | None = None,
        limit: int,
        offset: int = 0,
        after: str | None = None,
    ) -> JobPage:
        """Newest first, without results; those that follow the job `after`. A page may be short though there is more.

        Raises InvalidInput for an offset that is too deep.
        """
        ...

    async def stats(self) -> QueueStats:
        """How full every queue is, and which workers live."""
        ...

    async def model(self, name: str, task: str | None = None) -> ModelInfo:
        """The model that the name means (see jobs.models.find_model).

        Raises UnknownModel; NoWorker where there is no model at all; InvalidInput where the model does not do the task,
        or where the name means several models.
        """
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models that workers have announced."""
        ...

    async def ready(self) -> bool:
        """Whether there is a live worker. Answers within two seconds."""
        ...
