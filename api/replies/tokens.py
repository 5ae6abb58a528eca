"""The tokens of texts, and the texts of tokens, as results have them."""

import asyncio
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from api.work.perform import Done
from jobs.errors import InternalError
from jobs.job import Result
from jobs.tokenize import DetokenizeResult, TokenizedText, TokenizeResult


def tokenized_texts(result: Result) -> tuple[TokenizedText, ...]:
    """Raises InternalError for another result."""
    if not isinstance(result, TokenizeResult):
        raise InternalError
    return result.texts


def texts_of(result: Result) -> tuple[str, ...]:
    """Raises InternalError for another result."""
    if not isinstance(result, DetokenizeResult):
        raise InternalError
    return result.texts


def written_beside(encode: Callable[..., bytes], *told: Any, **named: Any) -> Callable[[Sequence[Done]], Any]:
    """Writes the result of a job of tokens by `encode(result, *told, **named)`, in a thread: many tokens would hold the
    event loop up.
    """

    async def write(done: Sequence[Done]) -> bytes:
        return await asyncio.to_thread(encode, done[0].result, *told, **named)

    return write


def ids_of(text: TokenizedText) -> list[int]:
    """Its token ids."""
    found = array("I")
    found.frombytes(text.ids)
    return found.tolist()
