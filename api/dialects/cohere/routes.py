"""Cohere's dialect: /v2/chat, reranking, embeddings and tokens."""

from typing import Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.cohere.chat import CohereChatRequest, cohere_chat_job
from api.dialects.cohere.chat_events import CohereEvent, CohereEvents, CohereLines, takes_lines
from api.dialects.cohere.chat_reply import CohereChatReply, encode_cohere_chat
from api.dialects.cohere.embedding import (
    CohereEmbedRequest,
    CohereVectors,
    CohereVectorsByType,
    cohere_embed_job,
    encode_cohere_embeddings,
)
from api.dialects.cohere.errors import COHERE_ERRORS
from api.dialects.cohere.priority import with_priority
from api.dialects.cohere.rerank import (
    CohereReply,
    CohereV1Request,
    CohereV2Request,
    cohere_v1_job,
    cohere_v2_job,
    encode_cohere,
)
from api.dialects.cohere.tokens import (
    CohereDetokenized,
    CohereDetokenizeRequest,
    CohereTokenized,
    CohereTokenizeRequest,
    cohere_detokenize_job,
    cohere_tokenize_job,
    encode_cohere_text,
    encode_cohere_tokens,
)
from api.dialects.dialect import Dialect
from api.openapi.operation import Stream, at_once, work
from api.replies.tokens import written_beside
from api.requests.body import check_text, decode_body
from api.route import add_route
from api.work.model_defaults import COHERE, with_defaults
from api.work.terms import Terms, now_terms_of

_CHAT = work(
    "cohere",
    CohereChatRequest,
    CohereChatReply,
    example={"model": "CHAT-MODEL", "messages": [{"role": "user", "content": "Say hello."}]},
    stream=Stream(
        "text/event-stream",
        CohereEvent,
        "With `stream`: server-sent events, from `message-start` to `message-end`, then `[DONE]`. An error in their "
        "midst ends the message: its `finish_reason` is ERROR. To a caller whose Accept has JSON and no events, each "
        "event is a line of JSON.",
        also="application/x-ndjson",
    ),
)
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
_chat_decoder = msgspec.json.Decoder(CohereChatRequest)
_TOKENIZE = at_once(
    "tokens",
    CohereTokenizeRequest,
    CohereTokenized,
    example={"model": "all-MiniLM-L6-v2", "text": "A meal."},
)
_DETOKENIZE = at_once(
    "tokens",
    CohereDetokenizeRequest,
    CohereDetokenized,
    example={"model": "all-MiniLM-L6-v2", "tokens": [1037, 7954]},
)
_tokenize_decoder = msgspec.json.Decoder(CohereTokenizeRequest)
_detokenize_decoder = msgspec.json.Decoder(CohereDetokenizeRequest)
_embed_decoder = msgspec.json.Decoder(CohereEmbedRequest)
_v1_decoder = msgspec.json.Decoder(CohereV1Request)
_v2_decoder = msgspec.json.Decoder(CohereV2Request)


class Cohere(Dialect):
    """/v2/chat, /v2/rerank, /v2/embed, /v1/embed, /v1/tokenize, /v1/detokenize."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v2/embed", self.embed_v2, _EMBED_V2, COHERE_ERRORS)
        add_route(app, "/v1/embed", self.embed_v1, _EMBED_V1, COHERE_ERRORS)
        add_route(app, "/v2/chat", self.chat_v2, _CHAT, COHERE_ERRORS)
        add_route(app, "/v1/tokenize", self.tokenize_v1, _TOKENIZE, COHERE_ERRORS)
        add_route(app, "/v1/detokenize", self.detokenize_v1, _DETOKENIZE, COHERE_ERRORS)
        add_route(app, "/v2/rerank", self.rerank_v2, _RERANK_V2, COHERE_ERRORS)

    async def chat_v2(self, request: Request) -> Response:
        """The answer to a chat: now, as a stream, or a job's id with `Prefer: respond-async`."""
        asked, terms = await self.read(request, _chat_decoder)
        asked = await with_defaults(asked, self.context.queue, COHERE)
        terms = with_priority(terms, asked.priority)
        job = await cohere_chat_job(asked, self.context.images)
        logprobs = bool(asked.logprobs)
        if job.stream:
            write = CohereLines if takes_lines(request.headers.get("accept", "")) else CohereEvents
            return await self.respond_stream(
                request, [job], terms, lambda stream: write(stream.job_ids[0], logprobs=logprobs)
            )
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_cohere_chat(done[0].result, job_id=done[0].job_id, logprobs=logprobs),
        )

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
        terms = with_priority(terms, asked.priority)
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

    async def tokenize_v1(self, request: Request) -> Response:
        """A text as the tokens of a model's own tokenizer, without special ones."""
        asked = decode_body(_tokenize_decoder, await self.read_raw(request))
        job = await cohere_tokenize_job(asked, self.context.queue)
        terms = now_terms_of(request, self.context.settings)
        return await self.respond(request, [job], terms, written_beside(encode_cohere_tokens))

    async def detokenize_v1(self, request: Request) -> Response:
        """Tokens as text, special ones included."""
        asked = decode_body(_detokenize_decoder, await self.read_raw(request))
        job = await cohere_detokenize_job(asked, self.context.queue)
        terms = now_terms_of(request, self.context.settings)
        return await self.respond(request, [job], terms, written_beside(encode_cohere_text))

    async def _embed(self, request: Request, version: Literal["1", "2"]) -> Response:
        asked, terms = await self.read(request, _embed_decoder)
        terms = with_priority(terms, asked.priority)
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
