"""The dialect of Hugging Face's text-embeddings-inference: /rerank."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.tei.rerank import TEI_ERRORS, TeiRank, TeiRequest, encode_tei, tei_job
from api.openapi.operation import work
from api.route import add_route

_RERANK = work(
    "rerank",
    TeiRequest,
    list[TeiRank],
    example={"model": "RERANK-MODEL", "query": "What is a fox?", "texts": ["A whale.", "A red animal."]},
)
_decoder = msgspec.json.Decoder(TeiRequest)


class Tei(Dialect):
    """/rerank."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/rerank", self.rerank_texts, _RERANK, TEI_ERRORS)

    async def rerank_texts(self, request: Request) -> Response:
        """Texts by how well they answer a query."""
        asked, terms = await self.read(request, _decoder)
        job = await tei_job(asked, await self.context.queue.models(), self.context.settings.max_inputs)
        texts = asked.texts if asked.return_text else None
        return await self.respond(request, [job], terms, lambda done: encode_tei(done[0].result, texts))
