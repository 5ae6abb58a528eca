"""Everything that can go wrong with a job.

JobError
├── InvalidInput            the caller must change the request
│   ├── InputTooLong
│   ├── UnknownModel
│   ├── UnknownJob
│   ├── BlobGone
│   ├── ResultTooLarge
│   └── IdempotencyConflict
├── Overloaded              the caller must come back later
├── QueueUnavailable
│   └── ServerStopping
├── NoWorker
├── ResultTimeout           nobody is to blame yet
├── JobCanceled
│   └── JobStopped
├── JobExpired
├── TimeLimitExceeded
├── WorkerLost              the job took its worker down, repeatedly
├── UnreadableJob
├── UnreadableResult
├── ModelNotLoadable
├── ModelChanged
└── InternalError

A class's docstring is its default message; `code` travels through Redis and HTTP.
"""

from typing import ClassVar

import msgspec


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """A JobError as it travels: `code` finds the class again, `param` names the request field at fault."""

    code: str
    message: str
    param: str | None = None

    def error(self) -> "JobError":
        """The exception this failure stands for (InternalError for a code this version does not know)."""
        return _BY_CODE.get(self.code, InternalError)(self.message, param=self.param)


class JobError(Exception):
    """The job failed."""

    code: ClassVar[str] = "job_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.param = param
        super().__init__(self.message)

    def failure(self) -> Failure:
        """The error as it is stored in Redis and shown to callers; `Failure.error` is the way back."""
        return Failure(code=self.code, message=self.message, param=self.param)


class InvalidInput(JobError):
    """The request is not valid."""

    code = "invalid_input"


class InputTooLong(InvalidInput):
    """An input is longer than the model can read. Shorten it, or set `truncate`."""

    code = "context_length_exceeded"


class UnknownModel(InvalidInput):
    """No worker serves this model."""

    code = "model_not_found"


class UnknownJob(InvalidInput):
    """There is no such job: the id is wrong, or the job's result has expired."""

    code = "job_not_found"


class BlobGone(InvalidInput):
    """An image that the job names is not there any more. Put it again, and send the job again."""

    code = "blob_gone"


class ResultTooLarge(InvalidInput):
    """The result has more bytes than a result may have. Ask for less, or in several requests."""

    code = "result_too_large"


class IdempotencyConflict(InvalidInput):
    """This Idempotency-Key was used before with a different request."""

    code = "idempotency_key_reused"


class Overloaded(JobError):
    """The queue is full. Try again later."""

    code = "queue_full"

    def __init__(
        self, message: str | None = None, *, param: str | None = None, retry_after_s: int = 1
    ) -> None:
        super().__init__(message, param=param)
        self.retry_after_s = retry_after_s


class QueueUnavailable(JobError):
    """Redis cannot be used. Try again in a moment."""

    code = "queue_unavailable"


class ServerStopping(QueueUnavailable):
    """The server is stopping. Send the request again in a moment."""

    code = "server_stopping"


class NoWorker(JobError):
    """No worker has announced a model yet. Start one with `mlxq worker`."""

    code = "no_worker"


class ResultTimeout(JobError):
    """The job did not finish in the time the caller was ready to wait."""

    code = "timeout"


class JobCanceled(JobError):
    """The job was canceled."""

    code = "job_canceled"


class JobStopped(JobCanceled):
    """The job was stopped."""

    code = "job_stopped"


class JobExpired(JobError):
    """The job waited in the queue longer than its ttl and was never started."""

    code = "job_expired"


class TimeLimitExceeded(JobError):
    """The job ran longer than its time limit."""

    code = "time_limit_exceeded"


class WorkerLost(JobError):
    """The job's worker died or hung each time the job was tried, so it will not be tried again."""

    code = "worker_lost"


class UnreadableJob(JobError):
    """The job's record in Redis cannot be read by this version of mlxq."""

    code = "unreadable_job"


class UnreadableResult(JobError):
    """The job has finished, and this process cannot read its result: a later version of mlxq has written it."""

    code = "unreadable_result"


class ModelNotLoadable(JobError):
    """The model cannot be loaded: the server's log says why."""

    code = "model_not_loadable"
    retryable = True


class ModelChanged(JobError):
    """Other files are served under the model's name than those that began this answer. Send the request again."""

    code = "model_changed"


class InternalError(JobError):
    """Internal error: the server's log says more."""

    code = "internal_error"
    retryable = True


def _leaves(cls: type[JobError]) -> list[type[JobError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _leaves(child))]


_BY_CODE: dict[str, type[JobError]] = {cls.code: cls for cls in _leaves(JobError)}

ALL = tuple(cls for cls in _BY_CODE.values() if cls is not JobError)
"""Every error that a job, or asking for one, can end with."""
