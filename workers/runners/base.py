"""What the worker asks of a model."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from jobs.errors import JobError
from jobs.types import Job, ModelInfo, Result


class Item(Protocol):
    """One unit of device work, such as one tokenised text. `length`: its tokens, what batching packs by."""

    @property
    def length(self) -> int: ...


class Runner(Protocol):
    """A loaded model. `prepare` and `assemble` run beside the device thread, the rest on it."""

    info: ModelInfo

    def prepare(self, jobs: Sequence[Job]) -> Sequence[list[Any] | JobError]:
        """Items of each job, equally long and in order; a JobError where a job cannot be run."""
        ...

    def launch(self, items: Sequence[Any]) -> Callable[[], Sequence[Any]]:
        """Start a batch on the device. The call that comes back waits for the outcomes.

        One outcome per item, in order: a value, or a JobError where that item alone failed. Raising, here or there,
        fails the whole batch; the worker then splits it to find the item at fault.
        """
        ...

    def assemble(self, job: Job, items: Sequence[Any], outcomes: Sequence[Any]) -> Result:
        """The job's result from the outcomes of its items. Raises JobError."""
        ...
