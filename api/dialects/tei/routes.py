"""The dialect of Hugging Face's text-embeddings-inference: the requests of /rerank that are its own."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.tei.rerank import TeiRequest, encode_tei, tei_job
from api.requests.body import decode_body
from api.work.terms import Terms

_decoder = msgspec.json.Decoder(TeiRequest)


class Tei(Dialect):
    """It has no path of its own: others choose it by the request."""

    def add_routes(self, app: FastAPI) -> None:
        """None."""

    async def rerank(self, request: Request, raw: bytes, terms: Terms) -> Response:
        """Texts by how well they answer a query. raw: the body."""
        asked = decode_body(_decoder, raw)
        job = await tei_job(asked, await self.context.queue.models(), self.context.settings.max_inputs)
        texts = asked.texts if asked.return_text else None
        return await self.respond(request, [job], terms, lambda done: encode_tei(done[0].result, texts))
