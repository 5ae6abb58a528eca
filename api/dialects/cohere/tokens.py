"""Cohere's /v1/tokenize and /v1/detokenize, in and out."""

import msgspec

from api.dialects.cohere.rerank import ApiVersion
from api.replies.tokens import ids_of, texts_of, tokenized_texts
from api.requests.inputs import TokenId
from api.work.queue import Queue
from jobs.errors import InvalidInput
from jobs.job import Result
from jobs.tokenize import DetokenizeJob, TokenizeJob


class CohereTokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/tokenize. Fields it does not name are ignored. model: of any task."""

    model: str
    text: str


class TokenMeta(msgspec.Struct, frozen=True):
    api_version: ApiVersion = ApiVersion("1")


class CohereTokenized(msgspec.Struct, frozen=True, kw_only=True):
    """token_strings: the text of each; of a character that several tokens make, U+FFFD for each part."""

    tokens: list[int]
    token_strings: list[str]
    meta: TokenMeta = TokenMeta()


class CohereDetokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/detokenize."""

    model: str
    tokens: tuple[TokenId, ...]


class CohereDetokenized(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    meta: TokenMeta = TokenMeta()


async def cohere_tokenize_job(asked: CohereTokenizeRequest, queue: Queue) -> TokenizeJob:
    """Without special tokens, as Cohere's. Raises InvalidInput, and what asking the queue does."""
    if not asked.text:
        raise InvalidInput("text is empty.", param="text")
    info = await queue.model(asked.model)
    return TokenizeJob(info.id, info.task, (asked.text,), add_special_tokens=False, detailed=True)


def encode_cohere_tokens(result: Result) -> bytes:
    """A CohereTokenized as JSON bytes. Raises InternalError."""
    [text] = tokenized_texts(result)
    strings = [token.bytes.decode(errors="replace") for token in text.tokens]
    return msgspec.json.encode(CohereTokenized(tokens=ids_of(text), token_strings=strings))


async def cohere_detokenize_job(asked: CohereDetokenizeRequest, queue: Queue) -> DetokenizeJob:
    """Raises InvalidInput, and what asking the queue does."""
    if not asked.tokens:
        raise InvalidInput("tokens is empty.", param="tokens")
    info = await queue.model(asked.model)
    return DetokenizeJob(info.id, info.task, (asked.tokens,))


def encode_cohere_text(result: Result) -> bytes:
    """A CohereDetokenized as JSON bytes. Raises InternalError."""
    [text] = texts_of(result)
    return msgspec.json.encode(CohereDetokenized(text=text))
