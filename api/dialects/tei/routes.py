"""The dialect of Hugging Face's text-embeddings-inference: /rerank."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.mlxq.job_reply import accepted_response
from api.dialects.tei.rerank import TeiError, TeiRank, TeiRequest, encode_tei, tei_envelope, tei_job
from api.errors import Fault
from api.openapi.operation import work
from api.requests.body import decode_body, read_body
from api.route import DirectRoute, add_route
from api.work.queue import Queue
from api.work.wait import Accepted, perform
from jobs.settings import Settings

_RERANK = work(
    "rerank",
    TeiRequest,
    list[TeiRank],
    example={"model": "RERANK-MODEL", "query": "What is a fox?", "texts": ["A whale.", "A red animal."]},
)


class TeiRoute(DirectRoute):
    error_shapes = (TeiError,)

    def envelope(self, fault: Fault) -> bytes:
        return tei_envelope(fault)


class Tei:
    def __init__(self, queue: Queue, settings: Settings) -> None:
        self._queue = queue
        self._settings = settings
        self._decoder = msgspec.json.Decoder(TeiRequest)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/rerank", self.rerank_texts, _RERANK, TeiRoute)

    async def rerank_texts(self, request: Request) -> Response:
        """Texts by how well they answer a query."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._decoder, raw)
        job = await tei_job(asked, await self._queue.models(), self._settings.max_inputs)
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        body = encode_tei(outcome.result, asked.texts if asked.return_text else None)
        return Response(body, media_type="application/json")
