"""/tokenize and /detokenize: one path each for vLLM, text-embeddings-inference and llama.cpp; the body tells which."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.llamacpp.errors import LLAMA_ERRORS
from api.dialects.llamacpp.tokenize import (
    LlamaTokenizeRequest,
    LlamaTokens,
    encode_llama_tokens,
    llama_tokenize_jobs,
)
from api.dialects.tei.rerank import TEI_ERRORS
from api.dialects.tei.tokens import TeiToken, TeiTokenizeRequest, encode_tei_tokens, tei_tokenize_job
from api.dialects.vllm.tokenize import (
    DetokenizeReply,
    DetokenizeRequest,
    TokenizeReply,
    TokenizeRequest,
    detokenize_job,
    encode_text,
    encode_tokens,
    tokenize_job,
)
from api.errors import OPENAI_ERRORS
from api.openapi.operation import at_once
from api.replies.tokens import written_beside
from api.requests.body import decode_body
from api.route import add_route, answer_errors_as
from api.work.perform import Done
from api.work.terms import now_terms_of

_TOKENIZE = at_once(
    "tokens",
    (TokenizeRequest, TeiTokenizeRequest, LlamaTokenizeRequest),
    (TokenizeReply, list[list[TeiToken]], LlamaTokens),
    example={"model": "all-MiniLM-L6-v2", "prompt": "A meal."},
)
_DETOKENIZE = at_once(
    "tokens",
    DetokenizeRequest,
    DetokenizeReply,
    example={"model": "all-MiniLM-L6-v2", "tokens": [1037, 7954]},
)
_ALL_ERRORS = OPENAI_ERRORS._replace(shapes=(*OPENAI_ERRORS.shapes, *TEI_ERRORS.shapes, *LLAMA_ERRORS.shapes))


class _Marks(msgspec.Struct, frozen=True, kw_only=True):
    """The field that each dialect has for the text; vLLM has `prompt` and `messages`."""

    inputs: Any = None
    content: Any = None


_marks_decoder = msgspec.json.Decoder(_Marks)
_vllm_decoder = msgspec.json.Decoder(TokenizeRequest)
_tei_decoder = msgspec.json.Decoder(TeiTokenizeRequest)
_llama_decoder = msgspec.json.Decoder(LlamaTokenizeRequest)
_detokenize_decoder = msgspec.json.Decoder(DetokenizeRequest)


class PlainTokenize(Dialect):
    """/tokenize, where the body tells which dialect it is, and /detokenize, where one reply does for all."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/tokenize", self.tokenize_text, _TOKENIZE, _ALL_ERRORS)
        add_route(app, "/detokenize", self.detokenize, _DETOKENIZE)

    async def tokenize_text(self, request: Request) -> Response:
        """A text, or a chat, as the tokens that the model reads.

        With `prompt` or `messages` it is vLLM's dialect, with `inputs` text-embeddings-inference's, with `content`
        llama.cpp's.
        """
        raw = await self.read_raw(request)
        marks = decode_body(_marks_decoder, raw)
        if marks.inputs is not None:
            answer_errors_as(request, TEI_ERRORS)
            return await self._tei(request, raw)
        if marks.content is not None:
            answer_errors_as(request, LLAMA_ERRORS)
            return await self._llama(request, raw)
        asked = decode_body(_vllm_decoder, raw)
        job, info = await tokenize_job(asked, self.context.queue, self.context.images)
        return await self.respond(
            request,
            [job],
            now_terms_of(request, self.context.settings),
            written_beside(encode_tokens, info, with_texts=job.detailed),
        )

    async def detokenize(self, request: Request) -> Response:
        """Tokens as text, special ones included."""
        asked = decode_body(_detokenize_decoder, await self.read_raw(request))
        job = await detokenize_job(asked, self.context.queue)
        terms = now_terms_of(request, self.context.settings)
        return await self.respond(request, [job], terms, written_beside(encode_text))

    async def _tei(self, request: Request, raw: bytes) -> Response:
        asked = decode_body(_tei_decoder, raw)
        job = await tei_tokenize_job(asked, self.context.queue, self.context.settings.max_inputs)
        terms = now_terms_of(request, self.context.settings)
        return await self.respond(request, [job], terms, written_beside(encode_tei_tokens, asked))

    async def _llama(self, request: Request, raw: bytes) -> Response:
        asked = decode_body(_llama_decoder, raw)
        jobs = await llama_tokenize_jobs(asked, self.context.queue, self.context.settings.max_inputs)
        terms = now_terms_of(request, self.context.settings)
        if not jobs:
            return json_response(encode_llama_tokens([], asked))

        async def write(done: Sequence[Done]) -> bytes:
            return await asyncio.to_thread(encode_llama_tokens, [each.result for each in done], asked)

        return await self.respond(request, jobs, terms, write)
