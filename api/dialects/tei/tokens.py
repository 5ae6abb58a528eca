"""/tokenize and /decode of Hugging Face's text-embeddings-inference, in and out."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any

import msgspec

from api.replies.tokens import ids_of, texts_of, tokenized_texts
from api.requests.inputs import TokenId, check_at_most
from api.requests.parameters import Refused
from api.requests.sole_model import served_model
from api.work.queue import Queue
from jobs.errors import InvalidInput
from jobs.job import Result
from jobs.tokenize import DetokenizeJob, Token, TokenizedText, TokenizeJob


class TeiTokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /tokenize with `inputs`. Fields it does not name are ignored. model: not TEI's own."""

    inputs: str | tuple[str, ...]
    add_special_tokens: bool = True
    prompt_name: Annotated[Any, Refused("tokens are of the text alone. Put the prompt before it.")] = None
    model: str | None = None


class TeiToken(msgspec.Struct, frozen=True, kw_only=True):
    """special: the tokenizer has put it there. start, stop: its bytes of the text, as UTF-8; null for such a one."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class TeiDecodeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /decode. model: not TEI's own."""

    ids: tuple[TokenId | tuple[TokenId, ...], ...]
    skip_special_tokens: bool = True
    model: str | None = None


async def tei_tokenize_job(asked: TeiTokenizeRequest, queue: Queue, max_inputs: int) -> TokenizeJob:
    """Raises InvalidInput naming the field, and what `served_model` raises."""
    texts = (asked.inputs,) if isinstance(asked.inputs, str) else asked.inputs
    if not texts:
        raise InvalidInput("inputs is empty.", param="inputs")
    check_at_most(texts, max_inputs, "inputs")
    info = await served_model(asked.model, queue)
    return TokenizeJob(info.id, info.task, texts, add_special_tokens=asked.add_special_tokens, detailed=True)


def encode_tei_tokens(result: Result, asked: TeiTokenizeRequest) -> bytes:
    """A list of TeiTokens for each text, as JSON bytes. Raises InternalError."""
    texts = (asked.inputs,) if isinstance(asked.inputs, str) else asked.inputs
    found = [_tokens(text, tokenized) for text, tokenized in zip(texts, tokenized_texts(result), strict=True)]
    return msgspec.json.encode(found)


def _tokens(text: str, tokenized: TokenizedText) -> list[TeiToken]:
    places = _byte_places(text)
    return [
        _token(token, each, text, places)
        for token, each in zip(ids_of(tokenized), tokenized.tokens, strict=True)
    ]


def _byte_places(text: str) -> Sequence[int]:
    """At which byte of it, as UTF-8, each character begins, and where the text ends."""
    if text.isascii():
        return range(len(text) + 1)
    return [0, *accumulate(len(character.encode()) for character in text)]


def _token(token: int, found: Token, text: str, places: Sequence[int]) -> TeiToken:
    if found.is_added:
        return TeiToken(id=token, text=found.name, special=True, start=None, stop=None)
    part = text[found.begin : found.end]
    return TeiToken(id=token, text=part, special=False, start=places[found.begin], stop=places[found.end])


async def tei_decode_job(asked: TeiDecodeRequest, queue: Queue, max_inputs: int) -> DetokenizeJob:
    """Raises InvalidInput naming the field, and what `served_model` raises."""
    if not asked.ids:
        raise InvalidInput("ids is empty.", param="ids")
    lists = [each for each in asked.ids if isinstance(each, tuple)]
    if lists and len(lists) < len(asked.ids):
        raise InvalidInput("ids mixes token ids and lists of them.", param="ids")
    check_at_most(lists, max_inputs, "ids")
    ids = tuple(lists) if lists else (tuple(each for each in asked.ids if not isinstance(each, tuple)),)
    info = await served_model(asked.model, queue)
    return DetokenizeJob(info.id, info.task, ids, skip_special_tokens=asked.skip_special_tokens)


def encode_tei_texts(result: Result) -> bytes:
    """A list of texts as JSON bytes. Raises InternalError."""
    return msgspec.json.encode(texts_of(result))
