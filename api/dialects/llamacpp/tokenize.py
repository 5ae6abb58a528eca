"""llama.cpp's /tokenize, in and out."""

from typing import Annotated

import msgspec

from api.replies.tokens import ids_of, tokenized_texts
from api.requests.parameters import Refused
from api.requests.sole_model import served_model
from api.work.queue import Queue
from jobs.job import Result
from jobs.tokenize import Token, TokenizeJob


class LlamaTokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /tokenize with `content`. model: not llama.cpp's own, which serves but one."""

    content: str
    add_special: bool = False
    parse_special: Annotated[
        bool, Refused("special tokens that a text spells are read as such.", unless=(True,))
    ] = True
    with_pieces: bool = False
    model: str | None = None


class LlamaPiece(msgspec.Struct, frozen=True):
    """piece: text, or bytes that alone are none."""

    id: int
    piece: str | tuple[int, ...]


class LlamaTokens(msgspec.Struct, frozen=True):
    tokens: list[int | LlamaPiece]


async def llama_tokenize_job(asked: LlamaTokenizeRequest, queue: Queue) -> TokenizeJob:
    """Raises what `served_model` raises."""
    info = await served_model(asked.model, queue)
    return TokenizeJob(
        info.id, info.task, (asked.content,), add_special_tokens=asked.add_special, detailed=asked.with_pieces
    )


def encode_llama_tokens(result: Result, *, with_pieces: bool) -> bytes:
    """A LlamaTokens as JSON bytes. Raises InternalError."""
    [text] = tokenized_texts(result)
    ids = ids_of(text)
    if not with_pieces:
        return msgspec.json.encode(LlamaTokens([*ids]))
    pieces = [LlamaPiece(token, _piece(each)) for token, each in zip(ids, text.tokens, strict=True)]
    return msgspec.json.encode(LlamaTokens([*pieces]))


def _piece(token: Token) -> str | tuple[int, ...]:
    try:
        return token.bytes.decode()
    except UnicodeDecodeError:
        return tuple(token.bytes)
