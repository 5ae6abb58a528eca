"""The forms in which bodies give what is to be embedded or completed: texts, token ids, texts with images."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec

from api.work.queue import Queue
from jobs.errors import InputTooLong, InvalidInput

_IMAGE_TEXT = re.compile(r"(https?://\S+|data:image/\S+)\Z", re.IGNORECASE)
_DATA_URI = re.compile(r"data:image/", re.IGNORECASE)

MANY_IDS = 1000
"""The worker checks shorter inputs, because it knows the model's limit exactly."""


class TextOrImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """image: an http(s) address, a data URI, or the base64 alone; where there is a text, too, it is read after it."""

    text: str | None = None
    image: str | None = None


TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Inputs = str | tuple[str | TokenId | tuple[TokenId, ...], ...]
MixedInputs = str | TextOrImage | tuple[str | TokenId | tuple[TokenId, ...] | TextOrImage, ...]


def split_mixed_inputs(
    given: MixedInputs, max_inputs: int, field: str
) -> tuple[str | tuple[int, ...] | TextOrImage, ...]:
    """As split_inputs, for texts and images in any order. Raises InvalidInput, naming the field."""
    if isinstance(given, TextOrImage):
        return (given,)
    if isinstance(given, str) or not any(isinstance(each, TextOrImage) for each in given):
        return split_inputs(given, max_inputs, field)  # pyright: ignore[reportArgumentType]: checked just now
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
        return (given,)  # pyright: ignore[reportReturnType]: the line above has read every element
    if not kinds:
        raise InvalidInput(f"{field} is empty.", param=field)
    if len(kinds) > 1:
        raise InvalidInput(f"{field} mixes texts and token ids.", param=field)
    check_at_most(given, max_inputs, field)
    if not all(given):
        index = next(i for i, item in enumerate(given) if not item)
        raise InvalidInput(f"{field}[{index}] is empty.", param=field)
    return given  # pyright: ignore[reportReturnType]: one kind, and not int


async def check_ids(queue: Queue, model: str, inputs: Sequence[object], field: str) -> None:
    """Raises InputTooLong for token ids that are far too many for the model: megabytes of them keep a worker busy."""
    for index, ids in enumerate(inputs):
        count = len(ids) if isinstance(ids, tuple) else 0  # pyright: ignore[reportUnknownArgumentType]
        if count > MANY_IDS:
            for info in await queue.models():
                if (
                    info.id == model and info.is_announced and count > 2 * info.max_tokens
                ):  # special ones do not count
                    raise InputTooLong(
                        f"Input {index}: {count} tokens, and the model reads at most {info.max_tokens}. "
                        'Shorten it, or set `truncate` to "end" or "start".',
                        param=field,
                    )


def may_be_image(given: object) -> bool:
    """Whether an input is an image, or may be one: a text that is an address or a data URI is one for some models."""
    return isinstance(given, TextOrImage) or (isinstance(given, str) and bool(_IMAGE_TEXT.match(given)))


def is_data_uri(text: str) -> bool:
    """Whether a text is the data URI of an image."""
    return bool(_DATA_URI.match(text))


def check_at_most(given: Sequence[object], max_inputs: int, field: str) -> None:
    """Raises InvalidInput, naming the field."""
    if len(given) > max_inputs:
        raise InvalidInput(f"{field} has {len(given)} items; at most {max_inputs} are allowed.", param=field)
