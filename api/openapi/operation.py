"""What the OpenAPI document says of an endpoint, besides its path and its docstring."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from api.dialects.mlxq.job_reply import JobReply
from api.errors import BodyTooLarge, RequestError
from jobs import errors
from jobs.errors import JobError

ErrorClass = type[JobError | RequestError]
Shapes = tuple[Any, ...]
"""Types of which one comes: usually a single one."""


class Header(NamedTuple):
    """A request's header. schema: of its text."""

    name: str
    description: str
    schema: Mapping[str, Any]


class Stream(NamedTuple):
    """A reply event by event. item: the type of one event's JSON."""

    media_type: Literal["text/event-stream", "application/x-ndjson"]
    item: Any
    description: str


class Operation(NamedTuple):
    """tag: the group it is shown in.

    replies: by status, the types of the JSON that the endpoint answers with where all goes well.
    body: of the request. example: of such a body. query: a struct with a field for each parameter.
    stream: what comes with 200 instead of JSON, where a stream is asked for.
    raises: the errors that it can end with.
    """

    method: Literal["GET", "POST", "DELETE"]
    tag: str
    replies: Mapping[int, Shapes]
    raises: tuple[ErrorClass, ...]
    body: Shapes = ()
    example: Mapping[str, Any] | None = None
    query: Any = None
    headers: tuple[Header, ...] = ()
    stream: Stream | None = None


PREFER = Header("Prefer", "RFC 7240: `respond-async`, `wait=N`, or both.", {"type": "string"})
IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "A second request with this key gets the first one's job.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)

ASKS: tuple[ErrorClass, ...] = (errors.QueueUnavailable, errors.ServerStopping, errors.InternalError)
"""What asking the queue can end with."""

SUBMITS: tuple[ErrorClass, ...] = (
    errors.InvalidInput,
    errors.UnknownModel,
    errors.IdempotencyConflict,
    errors.Overloaded,
    errors.NoWorker,
    BodyTooLarge,
    *ASKS,
)
"""What submitting a job can end with."""

WORKS: tuple[ErrorClass, ...] = (*errors.ALL, BodyTooLarge)
"""What submitting a job and waiting for it can end with: its own error, too."""


def work(
    tag: str, body: Any, reply: Any, *, example: Mapping[str, Any], stream: Stream | None = None
) -> Operation:
    """A POST of work that becomes a job. body, reply: a type, or a tuple of those of which one comes."""
    return Operation(
        "POST",
        tag,
        {200: _shapes(reply), 202: (JobReply,)},
        WORKS,
        body=_shapes(body),
        example=example,
        headers=(PREFER, IDEMPOTENCY_KEY),
        stream=stream,
    )


def reading(tag: str, reply: Any, *more: ErrorClass, query: Any = None) -> Operation:
    """A GET of what the queue knows. more: errors besides those of asking it."""
    return Operation("GET", tag, {200: _shapes(reply)}, (*more, *ASKS), query=query)


def _shapes(given: Any) -> Shapes:
    return given if isinstance(given, tuple) else (given,)  # pyright: ignore[reportUnknownVariableType]
