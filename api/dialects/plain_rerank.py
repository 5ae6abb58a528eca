"""/rerank: one path for text-embeddings-inference's dialect, and for the servers that have Jina's without /v1."""

from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Context, Dialect
from api.dialects.tei.rerank import TEI_ERRORS, TeiRank, TeiRequest
from api.dialects.tei.routes import Tei
from api.dialects.v1_rerank import V1_BODIES, V1_ERRORS, V1_REPLIES, V1Rerank
from api.errors import OPENAI_ERRORS
from api.openapi.operation import work
from api.requests.body import decode_body
from api.route import add_route, answer_errors_as
from api.work.terms import terms_of

_RERANK = work(
    "rerank",
    (TeiRequest, *V1_BODIES),
    (list[TeiRank], *V1_REPLIES),
    example={"model": "RERANK-MODEL", "query": "What is a fox?", "texts": ["A whale.", "A red animal."]},
)
_ALL_ERRORS = TEI_ERRORS._replace(
    shapes=tuple(dict.fromkeys((*TEI_ERRORS.shapes, *OPENAI_ERRORS.shapes, *V1_ERRORS.shapes)))
)


class _Marks(msgspec.Struct, frozen=True, kw_only=True):
    """The field that each dialect has for the documents."""

    texts: Any = None
    documents: Any = None


_marks_decoder = msgspec.json.Decoder(_Marks)


class PlainRerank(Dialect):
    """/rerank, where the body tells which dialect it is."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._tei = Tei(context)
        self._v1 = V1Rerank(context)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/rerank", self.rerank_texts, _RERANK, _ALL_ERRORS)

    async def rerank_texts(self, request: Request) -> Response:
        """Texts, or documents, by how well they answer a query.

        With `texts` it is text-embeddings-inference's dialect; with `documents` it is that of vLLM, infinity, llama.cpp
        and Together, whose replies have Jina's form, and errors OpenAI's, or Cohere's or Voyage's, whose fields tell.
        """
        raw = await self.read_raw(request)
        marks = decode_body(_marks_decoder, raw)
        if marks.texts is None and marks.documents is not None:
            answer_errors_as(request, OPENAI_ERRORS)
            return await self._v1.rerank_by_body(request, raw)
        return await self._tei.rerank(request, raw, terms_of(request, self.context.settings))
