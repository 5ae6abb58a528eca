"""Jina's dialect: /v1/rerank, a path that it shares with Cohere's."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.cohere.reply import CohereError, CohereReply, cohere_envelope
from api.dialects.cohere.rerank import CohereMarks, CohereV1Request, is_cohere_body, is_cohere_client
from api.dialects.cohere.routes import Cohere
from api.dialects.jina.rerank import JinaError, JinaReply, JinaRequest, encode_jina, jina_envelope, jina_job
from api.dialects.mlxq.job_reply import accepted_response
from api.errors import Fault
from api.openapi.operation import work
from api.requests.body import decode_body, read_body
from api.requests.images import ImageSource
from api.route import DirectRoute, add_route, answer
from api.work.queue import Queue
from api.work.wait import Accepted, perform
from jobs.settings import Settings

_RERANK = work(
    "rerank",
    (JinaRequest, CohereV1Request),
    (JinaReply, CohereReply),
    example={
        "model": "RERANK-MODEL",
        "query": "What is a fox?",
        "documents": ["A whale.", "A red animal."],
        "top_n": 1,
    },
)


class JinaRoute(DirectRoute):
    error_shapes = (JinaError, CohereError)

    def envelope(self, fault: Fault) -> bytes:
        return jina_envelope(fault)


class Jina:
    """images: None where addresses of images are not to be fetched. cohere: answers what is Cohere's."""

    def __init__(self, queue: Queue, settings: Settings, images: ImageSource | None, cohere: Cohere) -> None:
        self._queue = queue
        self._settings = settings
        self._images = images
        self._cohere = cohere
        self._decoder = msgspec.json.Decoder(JinaRequest)
        self._marks_decoder = msgspec.json.Decoder(CohereMarks)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/rerank", self.rerank, _RERANK, JinaRoute)

    async def rerank(self, request: Request) -> Response:
        """Documents by how well they answer a query; a request that is Cohere's gets Cohere's reply.

        Cohere's is what one of its clients sends, and what has a field that only Cohere has.
        """
        if is_cohere_client(request.headers):
            return await answer(request, self._cohere.rerank_v1(request), cohere_envelope)
        raw = await read_body(request, self._settings.max_body_bytes)
        if is_cohere_body(decode_body(self._marks_decoder, raw)):
            return await answer(request, self._cohere.rank_v1(request, raw), cohere_envelope)
        return await self._rank(request, raw)

    async def _rank(self, request: Request, raw: bytes) -> Response:
        asked = decode_body(self._decoder, raw)
        job = await jina_job(asked, self._images, self._settings.max_inputs)
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        documents = None if asked.return_documents is False else asked.documents
        body = encode_jina(outcome.result, asked.model, top_n=asked.top_n, documents=documents)
        return Response(body, media_type="application/json")
