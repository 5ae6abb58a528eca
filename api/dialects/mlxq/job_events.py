"""The stream of a job, from its beginning or from where a caller lost it: GET /v1/jobs/{id}/events."""

from typing import Annotated

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.mlxq.jobs import job_id_of
from api.dialects.openai.chat_routes import CHAT_STREAM
from api.dialects.openai.chunks import ChatChunks
from api.dialects.stream_response import StreamResponse
from api.openapi.operation import ASKS, Header, Operation
from api.requests.body import decode_query
from api.route import add_route
from api.work.perform import CancelOnDisconnect
from api.work.stream import KEEP_ALIVE_S, EventStream
from jobs import errors
from jobs.errors import InvalidInput, ResultTimeout

_MAX_DIGITS = 18


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """after: number of the last event that the caller has; the header Last-Event-ID goes before it."""

    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    include_usage: bool = False


_LAST_EVENT_ID = Header(
    "Last-Event-ID",
    "Number of the last event that the caller has; goes before `after`.",
    {"type": "string", "pattern": f"^[0-9]{{1,{_MAX_DIGITS}}}$"},
)
_STREAM = Operation(
    "GET",
    "jobs",
    {200: ()},
    # A job that fails before its first event is answered with its error.
    (
        InvalidInput,
        errors.InputTooLong,
        errors.UnknownJob,
        errors.JobCanceled,
        errors.JobStopped,
        errors.JobExpired,
        errors.TimeLimitExceeded,
        errors.WorkerLost,
        errors.ModelNotLoadable,
        errors.ModelChanged,
        errors.UnreadableJob,
        *ASKS,
    ),
    query=EventsQuery,
    headers=(_LAST_EVENT_ID,),
    stream=CHAT_STREAM,
)


class JobEvents(Dialect):
    """/v1/jobs/{id}/events."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/jobs/{job_id}/events", self.stream_events, _STREAM)

    async def stream_events(self, request: Request) -> Response:
        """The chunks of a streaming generation, as /v1/chat/completions sends them; the job outlives a disconnect."""
        query = decode_query(request, EventsQuery)
        after = _last_event_id(request, query.after)
        job_id = job_id_of(request)
        view = await self.context.queue.view(job_id)
        if view.task != "generate":
            raise InvalidInput("This job does not stream: it generates no text.")
        stream = EventStream(self.context.queue, [job_id], cancels=False)
        try:
            with CancelOnDisconnect(request):
                await stream.begin(KEEP_ALIVE_S)
        except ResultTimeout:
            pass  # the job waits in its queue, so the stream begins with a sign that it lives
        except BaseException:
            await stream.aclose()
            raise
        chunks = ChatChunks(
            job_id, view.model, int(view.created_at or 0), usage="end" if query.include_usage else "none"
        )
        return StreamResponse(stream, chunks, after=after)


def _last_event_id(request: Request, otherwise: int) -> int:
    """otherwise: where there is no header. Raises InvalidInput for a header that is not the number of an event."""
    given = request.headers.get("last-event-id")
    if given is None:
        return otherwise
    if not (given.isascii() and given.isdecimal() and len(given) <= _MAX_DIGITS):
        raise InvalidInput("Last-Event-ID is not the number of an event.", param="Last-Event-ID")
    return int(given)
