"""The forms in which bodies give what is to be embedded or completed: texts, token ids, texts with pictures."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from api.requests.passages import TextOrImage
from api.work.queue import Queue
from jobs.errors import InputTooLong, InvalidInput

MANY_IDS = 1000
"""Fewer are left to the worker, which knows best."""

TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Inputs = str | tuple[str | TokenId | tuple[TokenId, ...], ...]
GivenPages = str | TextOrImage | tuple[str | TokenId | tuple[TokenId, ...] | TextOrImage, ...]


def split_pages(
    given: GivenPages, max_inputs: int, field: str
) -> tuple[str | tuple[int, ...] | TextOrImage, ...]:
    """As split_inputs, of texts and pictures in any order. Raises InvalidInput, naming the field."""
    if isinstance(given, TextOrImage):
        return (given,)
    if isinstance(given, str) or not any(isinstance(each, TextOrImage) for each in given):
        return split_inputs(given, max_inputs, field)  # pyright: ignore[reportArgumentType]: looked at just now
    if not all(isinstance(each, str | TextOrImage) for each in given):
        raise InvalidInput(f"{field} mixes texts, pictures and token ids.", param=field)
    check_at_most(given, max_inputs, field)
    return given  # pyright: ignore[reportReturnType]


def split_inputs(given: Inputs, max_inputs: int, field: str) -> tuple[str | tuple[int, ...], ...]:
    """One element per text. Raises InvalidInput, naming the field, where they are mixed, empty or too many."""
    if isinstance(given, str):
        given = (given,)
    kinds = set(map(type, given))
    if kinds == {int}:
        return (given,)  # pyright: ignore[reportReturnType]: the line above has looked at every element
    if not kinds:
        raise InvalidInput(f"{field} is empty.", param=field)
    if len(kinds) > 1:
        raise InvalidInput(f"{field} mixes texts and token ids.", param=field)
    check_at_most(given, max_inputs, field)
    if not all(given):
        place = next(i for i, item in enumerate(given) if not item)
        raise InvalidInput(f"{field}[{place}] is empty.", param=field)
    return given  # pyright: ignore[reportReturnType]: one kind, and not int


async def check_ids(queue: Queue, model: str, inputs: Sequence[object], field: str) -> None:
    """Raises InputTooLong for token ids that are far too many for the model: megabytes of them keep a worker busy."""
    for place, ids in enumerate(inputs):
        if isinstance(ids, tuple) and len(ids) > MANY_IDS:  # pyright: ignore[reportUnknownArgumentType]
            for info in await queue.models():
                if info.id == model and len(ids) > 2 * info.max_tokens:  # special tokens do not count  # pyright: ignore[reportUnknownArgumentType]
                    raise InputTooLong(
                        f"Input {place}: {len(ids)} tokens, and the model reads at most {info.max_tokens}. "  # pyright: ignore[reportUnknownArgumentType]
                        'Shorten it, or set `truncate` to "end" or "start".',
                        param=field,
                    )


def check_at_most(given: Sequence[object], max_inputs: int, field: str) -> None:
    """Raises InvalidInput, naming the field."""
    if len(given) > max_inputs:
        raise InvalidInput(f"{field} has {len(given)} items; at most {max_inputs} are allowed.", param=field)
