"""What follows from a job's error: a pure decision."""

import enum

from jobs import errors
from jobs.errors import JobError


class Remedy(enum.Enum):
    """What helps."""

    WAIT = enum.auto()
    """Time: neither the page nor the job is at fault."""
    LATER = enum.auto()
    """Another job of the same, once there was time."""
    REPEAT = enum.auto()
    """Another job of the same. If that does not help, the page is at fault."""
    PUT_AGAIN = enum.auto()
    """The page's image has to be put beside the queue again."""
    NONE = enum.auto()
    """The page is at fault."""
    OTHER_KEY = enum.auto()
    """The job that the key stands for is another one, or its result is gone."""
    STOP = enum.auto()
    """The set-up is at fault, and so would be every page."""


_REMEDIES: tuple[tuple[type[JobError], Remedy], ...] = (
    (errors.BlobGone, Remedy.PUT_AGAIN),
    (errors.UnknownModel, Remedy.WAIT),  # a Redis that has lost its data hears of it again from the worker
    (errors.UnknownJob, Remedy.REPEAT),
    (errors.IdempotencyConflict, Remedy.OTHER_KEY),
    (errors.InvalidInput, Remedy.NONE),
    (errors.Overloaded, Remedy.WAIT),
    (errors.QueueUnavailable, Remedy.WAIT),
    (errors.NoWorker, Remedy.WAIT),
    (errors.ResultTimeout, Remedy.WAIT),
    (errors.ModelNotLoadable, Remedy.LATER),
    (errors.ModelChanged, Remedy.STOP),
    (errors.UnreadableResult, Remedy.REPEAT),
    (errors.UnreadableJob, Remedy.STOP),
    (errors.JobExpired, Remedy.REPEAT),
    (errors.InternalError, Remedy.REPEAT),
)


def remedy(error: JobError) -> Remedy:
    """The first class in the table that the error is of decides."""
    return next((found for kind, found in _REMEDIES if isinstance(error, kind)), Remedy.NONE)


def waits_for(error: JobError) -> tuple[str, float]:
    """What is waited for, in a sentence in which no number changes, and for how many seconds."""
    match error:
        case errors.Overloaded():
            return "The queue or Redis is full.", float(error.retry_after_s)
        case errors.NoWorker() | errors.UnknownModel():
            return "No worker serves the model. Start one with `mlxq worker` or `mlxq up`.", 1.0
        case errors.ResultTimeout():
            return "The workers are busy.", 0.0
        case errors.ModelNotLoadable():
            return error.message, 5.0
        case _:
            return error.message, 1.0
