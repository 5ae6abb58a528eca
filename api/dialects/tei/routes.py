"""The dialect of Hugging Face's text-embeddings-inference: /embed, and the requests of /rerank that are its own."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.tei.embedding import TeiEmbedRequest, encode_tei_embeddings, tei_embed_job
from api.dialects.tei.info import TeiInfo, TeiInfoQuery, tei_info
from api.dialects.tei.rerank import TEI_ERRORS, TeiRequest, encode_tei, tei_job
from api.dialects.tei.similarity import (
    TeiSimilarityRequest,
    encode_tei_similarities,
    tei_similarity_jobs,
)
from api.dialects.tei.tokens import TeiDecodeRequest, encode_tei_texts, tei_decode_job
from api.openapi.operation import at_once, reading, work
from api.replies.tokens import written_beside
from api.requests.body import decode_body, decode_query
from api.route import add_route
from api.work.terms import Terms, now_terms_of
from jobs.errors import InvalidInput, NoWorker, UnknownModel

_EMBED = work(
    "embeddings",
    TeiEmbedRequest,
    list[list[float]],
    example={"model": "all-MiniLM-L6-v2", "inputs": ["A meal.", "A rocket."]},
)
_DECODE = at_once(
    "tokens",
    TeiDecodeRequest,
    list[str],
    example={"model": "all-MiniLM-L6-v2", "ids": [101, 1037, 7954, 102]},
)
_SIMILARITY = at_once(
    "embeddings",
    TeiSimilarityRequest,
    list[float],
    example={
        "model": "all-MiniLM-L6-v2",
        "inputs": {"source_sentence": "A meal.", "sentences": ["A dish.", "A rocket."]},
    },
)
_INFO = reading("embeddings", TeiInfo, InvalidInput, UnknownModel, NoWorker, query=TeiInfoQuery)
_decoder = msgspec.json.Decoder(TeiRequest)
_similarity_decoder = msgspec.json.Decoder(TeiSimilarityRequest)
_embed_decoder = msgspec.json.Decoder(TeiEmbedRequest)
_decode_decoder = msgspec.json.Decoder(TeiDecodeRequest)


class Tei(Dialect):
    """/embed, /decode, /similarity and /info. Its parts of /rerank and /tokenize are chosen by the request."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/embed", self.embed_inputs, _EMBED, TEI_ERRORS)
        add_route(app, "/decode", self.decode_ids, _DECODE, TEI_ERRORS)
        add_route(app, "/similarity", self.compare_sentences, _SIMILARITY, TEI_ERRORS)
        add_route(app, "/info", self.model_info, _INFO, TEI_ERRORS)

    async def embed_inputs(self, request: Request) -> Response:
        """One vector per input."""
        asked, terms = await self.read(request, _embed_decoder)
        job = await tei_embed_job(asked, self.context.queue, self.context.settings.max_inputs)
        return await self.respond(
            request, [job], terms, lambda done: encode_tei_embeddings(done[0].result), "float"
        )

    async def decode_ids(self, request: Request) -> Response:
        """Tokens as texts."""
        asked = decode_body(_decode_decoder, await self.read_raw(request))
        job = await tei_decode_job(asked, self.context.queue, self.context.settings.max_inputs)
        terms = now_terms_of(request, self.context.settings)
        return await self.respond(request, [job], terms, written_beside(encode_tei_texts))

    async def compare_sentences(self, request: Request) -> Response:
        """The cosine of each sentence and the source sentence."""
        asked = decode_body(_similarity_decoder, await self.read_raw(request))
        jobs = await tei_similarity_jobs(asked, self.context.queue, self.context.settings.max_inputs)
        terms = now_terms_of(request, self.context.settings)
        return await self.respond(
            request, jobs, terms, lambda done: encode_tei_similarities([each.result for each in done])
        )

    async def model_info(self, request: Request) -> Response:
        """The one model that embeds or reranks, or that `?model=` names."""
        query = decode_query(request, TeiInfoQuery)
        info = tei_info(query.model, await self.context.queue.models(), self.context.settings)
        return json_response(msgspec.json.encode(info))

    async def rerank(self, request: Request, raw: bytes, terms: Terms) -> Response:
        """Texts by how well they answer a query. raw: the body."""
        asked = decode_body(_decoder, raw)
        job = await tei_job(asked, await self.context.queue.models(), self.context.settings.max_inputs)
        texts = asked.texts if asked.return_text else None
        return await self.respond(
            request, [job], terms, lambda done: encode_tei(done[0].result, texts, asked.top_n)
        )
