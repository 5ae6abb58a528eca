"""Cohere's dialect: /v2/rerank and the requests of /v1/rerank that are Cohere's; /v2/embed and /v1/embed."""

from typing import Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.cohere.embedding import (
    CohereEmbedRequest,
    CohereVectors,
    CohereVectorsByType,
    cohere_embed_job,
    encode_cohere_embeddings,
)
from api.dialects.cohere.rerank import (
    COHERE_ERRORS,
    CohereReply,
    CohereV1Request,
    CohereV2Request,
    cohere_v1_job,
    cohere_v2_job,
    encode_cohere,
)
from api.dialects.dialect import Dialect
from api.openapi.operation import work
from api.requests.body import check_text, decode_body
from api.route import add_route
from api.work.terms import Terms

_RERANK_V2 = work(
    "rerank",
    CohereV2Request,
    CohereReply,
    example={
        "model": "RERANK-MODEL",
        "query": "What is a fox?",
        "documents": ["A whale.", "A red animal."],
        "top_n": 1,
    },
)
_EMBED_V2 = work(
    "embeddings",
    CohereEmbedRequest,
    CohereVectorsByType,
    example={"model": "all-MiniLM-L6-v2", "texts": ["A meal.", "A rocket."], "input_type": "search_document"},
)
_EMBED_V1 = _EMBED_V2._replace(replies={**_EMBED_V2.replies, 200: (CohereVectors, CohereVectorsByType)})
_embed_decoder = msgspec.json.Decoder(CohereEmbedRequest)
_v1_decoder = msgspec.json.Decoder(CohereV1Request)
_v2_decoder = msgspec.json.Decoder(CohereV2Request)


class Cohere(Dialect):
    """/v2/rerank, /v2/embed, /v1/embed."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v2/embed", self.embed_v2, _EMBED_V2, COHERE_ERRORS)
        add_route(app, "/v1/embed", self.embed_v1, _EMBED_V1, COHERE_ERRORS)
        add_route(app, "/v2/rerank", self.rerank_v2, _RERANK_V2, COHERE_ERRORS)

    async def rerank_v1(self, request: Request, raw: bytes, terms: Terms) -> Response:
        """Documents by how well they answer a query, in the manner of Cohere's first version. raw: the body."""
        asked = decode_body(_v1_decoder, raw)
        check_text(raw)
        job = await cohere_v1_job(asked, await self.context.queue.models(), self.context.settings.max_inputs)
        documents = asked.documents if asked.return_documents else None
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_cohere(
                done[0].result, job_id=done[0].job_id, version="1", top_n=asked.top_n, documents=documents
            ),
        )

    async def rerank_v2(self, request: Request) -> Response:
        """Documents by how well they answer a query."""
        asked, terms = await self.read(request, _v2_decoder)
        job = await cohere_v2_job(asked, await self.context.queue.models(), self.context.settings.max_inputs)
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_cohere(done[0].result, job_id=done[0].job_id, version="2", top_n=asked.top_n),
        )

    async def embed_v2(self, request: Request) -> Response:
        """One vector per text or image, in each of the types that are asked for."""
        return await self._embed(request, "2")

    async def embed_v1(self, request: Request) -> Response:
        """One vector per text or image, in the manner of Cohere's first version."""
        return await self._embed(request, "1")

    async def _embed(self, request: Request, version: Literal["1", "2"]) -> Response:
        asked, terms = await self.read(request, _embed_decoder)
        queue, settings, images, *_ = self.context
        job = await cohere_embed_job(asked, queue, images, settings.max_inputs)
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_cohere_embeddings(
                done[0].result, asked, job_id=done[0].job_id, version=version
            ),
            "float",
        )
