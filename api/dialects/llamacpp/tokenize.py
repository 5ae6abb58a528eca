"""llama.cpp's /tokenize, in and out."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from api.replies.tokens import ids_of, tokenized_texts
from api.requests.inputs import TokenId, check_at_most
from api.requests.parameters import Refused
from api.requests.sole_model import served_model
from api.work.queue import Queue
from jobs.errors import InvalidInput
from jobs.job import Result
from jobs.tokenize import Token, TokenizedText, TokenizeJob


class LlamaTokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /tokenize with `content`. model: not llama.cpp's own, which serves but one.

    content: a text, or texts and token ids that follow each other. add_special: around its first text, if nothing is
    before it.
    """

    content: str | tuple[str | TokenId, ...]
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


async def llama_tokenize_jobs(
    asked: LlamaTokenizeRequest, queue: Queue, max_inputs: int
) -> list[TokenizeJob]:
    """The job of the text that has special tokens, and that of the others, each only if there are such texts. Raises
    InvalidInput naming the field, and what `served_model` raises.
    """
    info = await served_model(asked.model, queue)
    content = _parts(asked)
    texts = tuple(each for each in content if isinstance(each, str))
    check_at_most(texts, max_inputs, "content")
    if asked.with_pieces and len(texts) < len(content):
        raise InvalidInput(
            "with_pieces: the pieces of token ids are not told. Send texts.", param="with_pieces"
        )
    begins = asked.add_special and bool(content) and isinstance(content[0], str)
    parts = ((texts[:1], True), (texts[1:], False)) if begins else ((texts, False),)
    return [
        TokenizeJob(info.id, info.task, some, add_special_tokens=special, detailed=asked.with_pieces)
        for some, special in parts
        if some
    ]


def encode_llama_tokens(results: Sequence[Result], asked: LlamaTokenizeRequest) -> bytes:
    """A LlamaTokens as JSON bytes. results: of the jobs in their order. Raises InternalError."""
    texts = (text for result in results for text in tokenized_texts(result))
    found: list[int | LlamaPiece] = []
    for each in _parts(asked):
        found += [each] if isinstance(each, int) else _told(next(texts), with_pieces=asked.with_pieces)
    return msgspec.json.encode(LlamaTokens(found))


def _parts(asked: LlamaTokenizeRequest) -> tuple[str | int, ...]:
    return (asked.content,) if isinstance(asked.content, str) else asked.content


def _told(text: TokenizedText, *, with_pieces: bool) -> "Sequence[int | LlamaPiece]":
    ids = ids_of(text)
    if not with_pieces:
        return ids
    return [LlamaPiece(token, _piece(each)) for token, each in zip(ids, text.tokens, strict=True)]


def _piece(token: Token) -> str | tuple[int, ...]:
    try:
        return token.bytes.decode()
    except UnicodeDecodeError:
        return tuple(token.bytes)
