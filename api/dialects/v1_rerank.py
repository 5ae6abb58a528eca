"""/v1/rerank: one path for the dialects of Jina, Voyage and Cohere's first version. None knows the others."""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.callers import is_cohere_client, is_voyage_client
from api.dialects.cohere.errors import COHERE_ERRORS
from api.dialects.cohere.rerank import CohereReply, CohereV1Request
from api.dialects.cohere.routes import Cohere
from api.dialects.dialect import Context, Dialect
from api.dialects.jina.rerank import JINA_ERRORS, JinaReply, JinaRequest, encode_jina, jina_jobs
from api.dialects.voyage.errors import VOYAGE_ERRORS
from api.dialects.voyage.rerank import (
    VoyageRanking,
    VoyageRerankRequest,
    encode_voyage,
    voyage_rerank_job,
)
from api.openapi.operation import work
from api.requests.body import decode_body
from api.requests.sole_model import is_named
from api.requests.vllm.cosine import scores_of_all
from api.route import add_route, answer_errors_as
from api.work.perform import Done
from api.work.terms import Terms, terms_of

V1_BODIES = (JinaRequest, CohereV1Request, VoyageRerankRequest)
V1_REPLIES = (JinaReply, CohereReply, VoyageRanking)
V1_ERRORS = JINA_ERRORS._replace(shapes=(*JINA_ERRORS.shapes, *COHERE_ERRORS.shapes, *VOYAGE_ERRORS.shapes))

_RERANK = work(
    "rerank",
    V1_BODIES,
    V1_REPLIES,
    example={
        "model": "RERANK-MODEL",
        "query": "What is a fox?",
        "documents": ["A whale.", "A red animal."],
        "top_n": 1,
    },
)


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """Fields by which a body is known: Jina's and Voyage's names for one thing, and what Cohere's alone has."""

    top_n: Any = UNSET
    top_k: Any = UNSET
    rank_fields: Any = UNSET
    max_chunks_per_doc: Any = UNSET
    max_tokens_per_doc: Any = UNSET

    @property
    def are_coheres(self) -> bool:
        return any(
            each is not UNSET for each in (self.rank_fields, self.max_chunks_per_doc, self.max_tokens_per_doc)
        )

    @property
    def are_voyages(self) -> bool:
        """Its Python client always sends top_k, and names itself in no header."""
        return self.top_k is not UNSET and self.top_n is UNSET


_jina_decoder = msgspec.json.Decoder(JinaRequest)
_voyage_decoder = msgspec.json.Decoder(VoyageRerankRequest)
_marks_decoder = msgspec.json.Decoder(Marks)


class V1Rerank(Dialect):
    """Jina's /v1/rerank, and the choice between it and the others'."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._cohere = Cohere(context)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/rerank", self.rerank, _RERANK, V1_ERRORS)

    async def rerank(self, request: Request) -> Response:
        """Documents by how well they answer a query; a request that is Cohere's gets Cohere's reply.

        Cohere's and Voyage's are what their clients send, and what has a field that only they have.
        """
        if is_cohere_client(request.headers):
            answer_errors_as(request, COHERE_ERRORS)
            return await self._cohere.rerank_v1(request, await self.read_raw(request), self._terms(request))
        if is_voyage_client(request.headers):
            answer_errors_as(request, VOYAGE_ERRORS)
            return await self._rerank_as_voyage(request, await self.read_raw(request))
        return await self.rerank_by_body(request, await self.read_raw(request))

    async def rerank_by_body(self, request: Request, raw: bytes) -> Response:
        """Documents by how well they answer a query, in the manner of whose fields the body has. raw: the body."""
        # Reads the marks alone and skips the documents, so that they are decoded once.
        marks = decode_body(_marks_decoder, raw)
        if marks.are_coheres:
            answer_errors_as(request, COHERE_ERRORS)
            return await self._cohere.rerank_v1(request, raw, self._terms(request))
        if marks.are_voyages:
            answer_errors_as(request, VOYAGE_ERRORS)
            return await self._rerank_as_voyage(request, raw)
        return await self._rerank_as_jina(request, raw)

    async def _rerank_as_jina(self, request: Request, raw: bytes) -> Response:
        asked = decode_body(_jina_decoder, raw)
        queue, settings, images, *_ = self.context
        jobs = await jina_jobs(asked, queue, images, settings.max_inputs)
        documents = None if asked.return_documents is False else asked.documents

        async def write(done: Sequence[Done]) -> bytes:
            return encode_jina(
                await scores_of_all([each.result for each in done]),
                asked.model if is_named(asked.model) else jobs[0].model,
                job_id=done[0].job_id,
                top_n=asked.top_n,
                documents=documents,
            )

        return await self.respond(request, jobs, self._terms(request), write)

    async def _rerank_as_voyage(self, request: Request, raw: bytes) -> Response:
        asked, terms = decode_body(_voyage_decoder, raw), self._terms(request)
        job = await voyage_rerank_job(asked, self.context.settings.max_inputs)
        documents = asked.documents if asked.return_documents else None
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_voyage(done[0].result, asked.model, top_k=asked.top_k, documents=documents),
        )

    def _terms(self, request: Request) -> Terms:
        return terms_of(request, self.context.settings)
