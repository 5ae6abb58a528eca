"""The one place that turns an error into an HTTP status and an envelope.

OpenAI's, {"error": {"message", "type", "param", "code"}}, unless a dialect brings its own.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from jobs import errors
from jobs.chats.chat import UnknownChat
from jobs.machines.commands import HubUnavailable
from jobs.search.errors import (
    CollectionBusy,
    DocumentGone,
    DocumentUnreadable,
    StoreUnavailable,
    UnknownCollection,
    UnknownDocument,
)

log = logging.getLogger("mlxq.api")

# The nearest class in a JobError's ancestry decides.
_STATUS: dict[type[errors.JobError], int] = {
    errors.JobError: 500,
    errors.InvalidInput: 400,
    errors.UnknownModel: 404,
    errors.UnknownJob: 404,
    UnknownChat: 404,
    UnknownCollection: 404,
    UnknownDocument: 404,
    errors.IdempotencyConflict: 409,
    errors.JobCanceled: 409,
    CollectionBusy: 409,
    DocumentGone: 410,
    DocumentUnreadable: 422,
    errors.Overloaded: 429,
    HubUnavailable: 502,
    errors.QueueUnavailable: 503,
    errors.NoWorker: 503,
    StoreUnavailable: 503,
    errors.ModelChanged: 503,
    errors.ResultTimeout: 504,
    errors.JobExpired: 504,
    errors.TimeLimitExceeded: 504,
}
# nginx's status for a caller that disconnected; nobody reads it.
_CLIENT_CLOSED_REQUEST = 499
_RETRY_UNAVAILABLE_S = 1
_RETRY_AFTER_START_S = 5
"""Somebody must start a program first."""


class RequestError(Exception):
    """A request that the API itself refuses, not a job. The docstring is the default message."""

    status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.param = param
        super().__init__(self.message)


class BodyTooLarge(RequestError):
    """The body is larger than this server reads."""

    status = 413
    code = "body_too_large"


class NotServed(RequestError):
    """This is not done here."""

    status = 501
    code = "not_supported"


class JobAlreadyEnded(RequestError):
    """The job ended while it was to be canceled: its result is there. Send the request again to delete it."""

    status = 409
    code = "job_already_ended"


# OpenAI's clients send a request again, twice, after a 409 or 5xx, unless this header forbids it.
_NO_RETRY = {"X-Should-Retry": "false"}
FINAL = (
    JobAlreadyEnded,
    NotServed,
    DocumentGone,
    DocumentUnreadable,
    errors.IdempotencyConflict,
    errors.JobCanceled,
    errors.JobExpired,
    errors.ModelNotLoadable,
    errors.ResultTimeout,
    errors.TimeLimitExceeded,
    errors.UnreadableJob,
    errors.UnreadableResult,
    errors.WorkerLost,
)
"""Errors that would come again: the reply says not to try again."""
LATER = (
    errors.Overloaded,
    errors.QueueUnavailable,
    errors.NoWorker,
    errors.ModelChanged,
    StoreUnavailable,
    CollectionBusy,
)
"""Errors that pass: the reply says when to try again."""


class Fault(NamedTuple):
    """What a reply says of an error, in any dialect."""

    status: int
    """Of HTTP."""
    code: str
    message: str
    param: str | None = None
    """The field at fault."""


class ErrorFormat(NamedTuple):
    """How a dialect writes errors."""

    encode: Callable[[Fault], bytes]
    """JSON."""
    shapes: tuple[type, ...]
    """The types that `encode` writes, for the OpenAPI document."""


class ErrorBody(msgspec.Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str


class ErrorReply(msgspec.Struct, frozen=True):
    error: ErrorBody


def openai_envelope(fault: Fault) -> bytes:
    """An ErrorReply as JSON."""
    return msgspec.json.encode(
        ErrorReply(
            ErrorBody(message=fault.message, type=_type(fault.status), param=fault.param, code=fault.code)
        )
    )


OPENAI_ERRORS = ErrorFormat(openai_envelope, (ErrorReply,))


def error_response(error: Exception, request: Request, errors_as: ErrorFormat = OPENAI_ERRORS) -> Response:
    """The reply to any exception. An unknown one is logged with its traceback, and shown as an internal error."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    headers: dict[str, str] | None = None
    if isinstance(error, RequestError):
        fault = Fault(error.status, error.code, error.message, error.param)
        headers = _NO_RETRY if isinstance(error, FINAL) else None
    elif isinstance(error, HTTPException):
        code = HTTPStatus(error.status_code).name.lower()
        fault = Fault(error.status_code, code, f"{error.detail}: {request.method} {request.url.path}")
        headers = dict(error.headers or {})
    else:
        known = known_error(error, request)
        fault, headers = fault_of(known), _retry_headers(known)
    return Response(errors_as.encode(fault), fault.status, headers, "application/json")


def known_error(error: Exception, request: Request) -> errors.JobError:
    """A JobError as it is; any other is logged with its traceback, and becomes an internal error."""
    if isinstance(error, errors.JobError):
        return error
    log.error(
        "A request failed with an unexpected error.",
        exc_info=error,
        extra={"method": request.method, "path": request.url.path},
    )
    return errors.InternalError()


def fault_of(error: errors.JobError) -> Fault:
    """What a reply says of an error, also in the middle of a stream."""
    return Fault(status_of(type(error)), error.code, error.message, error.param)


def status_of(kind: type[errors.JobError | RequestError]) -> int:
    """The status of HTTP for an error's class."""
    if issubclass(kind, RequestError):
        return kind.status
    return next(_STATUS[cls] for cls in kind.__mro__ if cls in _STATUS)


def _retry_headers(error: errors.JobError) -> dict[str, str] | None:
    if isinstance(error, FINAL):
        return _NO_RETRY
    if isinstance(error, errors.Overloaded):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, errors.NoWorker | StoreUnavailable):
        return {"Retry-After": str(_RETRY_AFTER_START_S)}
    if isinstance(error, LATER):
        return {"Retry-After": str(_RETRY_UNAVAILABLE_S)}
    return None


def _type(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
