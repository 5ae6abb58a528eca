"""POST /v1/ask: a question, answered from the pages of ingested documents."""

from typing import Annotated

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.mlxq.answer import (
    AnswerEvents,
    AnswerReply,
    Event,
    encode_answer,
    not_found,
    not_found_events,
)
from api.dialects.mlxq.search import Few, SearchFilter
from api.openapi.operation import WORKS, Operation, Stream
from api.route import add_route
from api.work.perform import CancelOnDisconnect, refuse_async
from jobs.search.errors import StoreUnavailable, UnknownCollection
from jobs.search.question import Question

_DEFAULT = Question(text="")


class AskRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A question about documents. collections: all, if empty. model: one that writes; if empty, one that is served.

    sources: most pages that it is shown. min_similarity: of the best chunk of text, as a cosine; below, the answer is
    that the documents do not say.
    """

    question: Annotated[str, msgspec.Meta(min_length=1)]
    collections: Few = ()
    filter: SearchFilter = SearchFilter()
    model: str = ""
    sources: Annotated[int, msgspec.Meta(ge=1, le=20)] = _DEFAULT.sources
    min_similarity: Annotated[float, msgspec.Meta(ge=-1, le=1)] = _DEFAULT.min_similarity
    rerank_model: str = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = _DEFAULT.max_tokens
    stream: bool = False


_ASK = Operation(
    "POST",
    "search",
    {200: (AnswerReply,)},
    (*WORKS, UnknownCollection, StoreUnavailable),
    body=(AskRequest,),
    example={"question": "How long is a lease?", "model": "CHAT-MODEL", "max_tokens": 200},
    stream=Stream(
        "text/event-stream",
        Event,
        "With `stream`: server-sent events. `sources` has the pages, then each `delta` more of the answer's text, and "
        "`done` what was cited. After an error in their midst comes `error`.",
    ),
)
_decoder = msgspec.json.Decoder(AskRequest)


class Ask(Dialect):
    """/v1/ask."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/ask", self.ask, _ASK)

    async def ask(self, request: Request) -> Response:
        """The answer, with the pages that it cites."""
        asked, terms = await self.read(request, _decoder)
        refuse_async(terms)  # the sources would not be in the job
        with CancelOnDisconnect(request):
            prepared = await self.collections.prepare(_question(asked))
        if prepared.job is None:
            if asked.stream:
                return Response(not_found_events(prepared), media_type=AnswerEvents.media_type)
            return json_response(not_found(prepared))
        if asked.stream:
            return await self.respond_stream(request, [prepared.job], terms, lambda _: AnswerEvents(prepared))
        return await self.respond(
            request, [prepared.job], terms, lambda done: encode_answer(done[0].result, prepared)
        )


def _question(asked: AskRequest) -> Question:
    return Question(
        text=asked.question,
        collections=asked.collections,
        filter=asked.filter.page_filter(),
        model=asked.model,
        sources=asked.sources,
        min_similarity=asked.min_similarity,
        rerank_model=asked.rerank_model,
        max_tokens=asked.max_tokens,
        stream=asked.stream,
    )
