"""What the worker asks of a model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from jobs.catalogue.details import ModelDetails
from jobs.errors import InvalidInput, JobError
from jobs.job import Result
from jobs.models import ModelInfo


class Item(Protocol):
    """One unit of device work, such as one tokenised text."""

    @property
    def length(self) -> int:
        """Its tokens, which batches are packed by."""
        ...


class Runner(Protocol):
    """A model. `prepare` and `assemble` run beside the device thread, and need no weights; all else belongs to the
    thread that owns the device.
    """

    info: ModelInfo
    details: ModelDetails
    """Nothing, until workers.models.open fills it in."""
    weight_bytes: int
    """Memory that its weights take while they are loaded."""

    def load(self) -> Iterator[None]:
        """Bring the weights into memory, some at each step, so that other work can go on in between.

        Raises JobError, or whatever the model's library does; `unload` then drops what is there.
        """
        ...

    def unload(self) -> None:
        """Free the weights and all that was computed with them."""
        ...

    def prepare(self, jobs: Sequence[Any]) -> Sequence[list[Any] | Result | JobError]:
        """Of each job in order: its items; its result, if it needs no device; a JobError where it cannot be run."""
        ...

    def assemble(self, job: Any, items: Sequence[Any], outcomes: Sequence[Any]) -> Result:
        """The job's result from the outcomes of its items. Raises JobError."""
        ...


T = TypeVar("T")


def caught(function: Callable[..., T], *arguments: Any) -> T | JobError:
    """What the function returns, or the JobError that it raises: one job's error must not fail the others."""
    try:
        return function(*arguments)
    except JobError as error:
        return error


@contextmanager
def named(where: str, param: str | None = None) -> Iterator[None]:
    """A JobError raised within says where it was. param: the field at fault; None for the error's own."""
    try:
        yield
    except JobError as error:
        raise type(error)(f"{where}: {error.message}", param=param or error.param) from error


def check_finite(outcomes: Iterable[object], folder: Path, made: str) -> None:
    """Raises InvalidInput where a sample's outcome is an error: the folder's weights are unsound. made: vectors, …"""
    if any(isinstance(each, JobError) for each in outcomes):
        raise InvalidInput(f"{folder}: the model makes {made} that are not finite.", param="model")


def succeeded(outcomes: Iterable[T | JobError]) -> list[T]:
    """The outcomes of a job's items. Raises the first JobError among them, if there is one."""
    found: list[T] = []
    for outcome in outcomes:
        if isinstance(outcome, JobError):
            raise outcome
        found.append(outcome)
    return found


class Weightless:
    """The life of a runner without weights, as those of tests and benchmarks are."""

    details = ModelDetails()
    weight_bytes = 0

    def load(self) -> Iterator[None]:
        return iter(())

    def unload(self) -> None:
        pass


R = TypeVar("R", bound=Runner)


def loaded(runner: R) -> R:
    """The runner with its weights, read at once. Raises what its `load` does."""
    for _ in runner.load():
        pass
    return runner


@runtime_checkable
class BatchRunner(Runner, Protocol):
    """A model whose items are independent of each other: any of them may share a batch."""

    def launch(self, items: Sequence[Any]) -> Callable[[], Sequence[Any]]:
        """Start a batch on the device. The call that comes back waits for the outcomes.

        One outcome per item, in order: a value, or a JobError where that item alone failed. Raising, here or there,
        fails the whole batch; the worker then splits it to find the item at fault.
        """
        ...
