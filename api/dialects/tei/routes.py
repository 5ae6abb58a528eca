"""The dialect of Hugging Face's text-embeddings-inference: /embed, and the requests of /rerank that are its own."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.tei.embedding import TeiEmbedRequest, encode_tei_embeddings, tei_embed_job
from api.dialects.tei.rerank import TEI_ERRORS, TeiRequest, encode_tei, tei_job
from api.openapi.operation import work
from api.requests.body import decode_body
from api.route import add_route
from api.work.terms import Terms

_EMBED = work(
    "embeddings",
    TeiEmbedRequest,
    list[list[float]],
    example={"model": "all-MiniLM-L6-v2", "inputs": ["A meal.", "A rocket."]},
)
_decoder = msgspec.json.Decoder(TeiRequest)
_embed_decoder = msgspec.json.Decoder(TeiEmbedRequest)


class Tei(Dialect):
    """/embed. Its part of /rerank is chosen by the request."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/embed", self.embed_inputs, _EMBED, TEI_ERRORS)

    async def embed_inputs(self, request: Request) -> Response:
        """One vector per input."""
        asked, terms = await self.read(request, _embed_decoder)
        job = await tei_embed_job(asked, self.context.queue, self.context.settings.max_inputs)
        return await self.respond(
            request, [job], terms, lambda done: encode_tei_embeddings(done[0].result), "float"
        )

    async def rerank(self, request: Request, raw: bytes, terms: Terms) -> Response:
        """Texts by how well they answer a query. raw: the body."""
        asked = decode_body(_decoder, raw)
        job = await tei_job(asked, await self.context.queue.models(), self.context.settings.max_inputs)
        texts = asked.texts if asked.return_text else None
        return await self.respond(request, [job], terms, lambda done: encode_tei(done[0].result, texts))
