"""What the OpenAPI document says of an endpoint, besides its path and its docstring."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from api.errors import BodyTooLarge, RequestError
from api.replies.job_reply import JobReply
from api.work.terms import LONGEST_TTL_S
from jobs import errors
from jobs.errors import JobError

ErrorClass = type[JobError | RequestError]
Shapes = tuple[Any, ...]
"""Types of which one comes: usually a single one."""


EXAMPLE_IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
"""The smallest one: a PNG of one pixel, as base64."""


class Header(NamedTuple):
    """A request's header."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """Of its text."""


class Stream(NamedTuple):
    """A reply event by event."""

    media_type: Literal["text/event-stream", "application/x-ndjson"]
    item: Any
    """The type of one event's JSON."""
    description: str
    also: Literal["application/x-ndjson"] | None = None
    """What else it may be, where the caller's Accept says so."""

    @property
    def media_types(self) -> tuple[str, ...]:
        return (self.media_type, self.also) if self.also else (self.media_type,)


class Operation(NamedTuple):
    """What an endpoint takes and answers."""

    method: Literal["GET", "POST", "DELETE"]
    tag: str
    """The group of the document that it is shown in."""
    replies: Mapping[int, Shapes]
    """The types of its JSON by status, where it does not fail."""
    raises: tuple[ErrorClass, ...]
    """The errors that it can end with."""
    body: Shapes = ()
    example: Mapping[str, Any] | None = None
    """Of a body."""
    query: Any = None
    """A struct with a field for each parameter."""
    headers: tuple[Header, ...] = ()
    stream: Stream | None = None
    """What comes with 200 instead of JSON, where the request asks for a stream."""
    file: str = ""
    """The media type of a file that comes with 200 instead of JSON."""


PREFER = Header("Prefer", "RFC 7240: `respond-async`, `wait=N`, or both.", {"type": "string"})
IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "A second request with this key gets the first one's job.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)

RESULT_TTL = Header(
    "Result-TTL",
    "Seconds for which the result is kept. Without it the server's settings say.",
    {"type": "integer", "minimum": 1, "maximum": LONGEST_TTL_S},
)

ASKS: tuple[ErrorClass, ...] = (errors.QueueUnavailable, errors.ServerStopping, errors.InternalError)
"""What asking the queue can end with."""

SUBMITS: tuple[ErrorClass, ...] = (
    errors.InvalidInput,
    errors.UnknownModel,
    errors.ResultTooLarge,
    errors.IdempotencyConflict,
    errors.Overloaded,
    errors.NoWorker,
    BodyTooLarge,
    *ASKS,
)
"""What submitting a job can end with."""

WORKS: tuple[ErrorClass, ...] = (*errors.ALL, BodyTooLarge)
"""What submitting a job and waiting for it can end with, the job's own error included."""


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
        headers=(PREFER, IDEMPOTENCY_KEY, RESULT_TTL),
        stream=stream,
    )


def at_once(tag: str, body: Any, reply: Any, *, example: Mapping[str, Any]) -> Operation:
    """A POST of work that is done while the caller waits, and never shown as a job."""
    return Operation("POST", tag, {200: _shapes(reply)}, WORKS, body=_shapes(body), example=example)


def reading(tag: str, reply: Any, *more: ErrorClass, query: Any = None) -> Operation:
    """A GET of what the queue knows. more: errors besides those of asking it."""
    return Operation("GET", tag, {200: _shapes(reply)}, (*more, *ASKS), query=query)


def _shapes(given: Any) -> Shapes:
    return given if isinstance(given, tuple) else (given,)  # pyright: ignore[reportUnknownVariableType]
