"""Cohere's dialect: /v2/rerank, and what of /v1/rerank is Cohere's."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.cohere.reply import CohereError, CohereReply, cohere_envelope, encode_cohere
from api.dialects.cohere.rerank import CohereV1Request, CohereV2Request, cohere_v1_job, cohere_v2_job
from api.dialects.mlxq.job_reply import accepted_response
from api.errors import Fault
from api.openapi.operation import work
from api.requests.body import decode_body, read_body
from api.route import DirectRoute, add_route
from api.work.queue import Queue
from api.work.wait import Accepted, perform
from jobs.settings import Settings

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


class CohereRoute(DirectRoute):
    error_shapes = (CohereError,)

    def envelope(self, fault: Fault) -> bytes:
        return cohere_envelope(fault)


class Cohere:
    def __init__(self, queue: Queue, settings: Settings) -> None:
        self._queue = queue
        self._settings = settings
        self._v1_decoder = msgspec.json.Decoder(CohereV1Request)
        self._v2_decoder = msgspec.json.Decoder(CohereV2Request)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v2/rerank", self.rerank_v2, _RERANK_V2, CohereRoute)

    async def rerank_v1(self, request: Request) -> Response:
        """Documents by how well they answer a query, in the manner of Cohere's first version."""
        return await self.rank_v1(request, await read_body(request, self._settings.max_body_bytes))

    async def rank_v1(self, request: Request, raw: bytes) -> Response:
        """As rerank_v1, for a body that was read."""
        asked = decode_body(self._v1_decoder, raw)
        job = await cohere_v1_job(asked, await self._queue.models(), self._settings.max_inputs)
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        documents = asked.documents if asked.return_documents else None
        body = encode_cohere(
            outcome.result, job_id=outcome.job_id, version="1", top_n=asked.top_n, documents=documents
        )
        return Response(body, media_type="application/json")

    async def rerank_v2(self, request: Request) -> Response:
        """Documents by how well they answer a query."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._v2_decoder, raw)
        job = await cohere_v2_job(asked, await self._queue.models(), self._settings.max_inputs)
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        body = encode_cohere(outcome.result, job_id=outcome.job_id, version="2", top_n=asked.top_n)
        return Response(body, media_type="application/json")
