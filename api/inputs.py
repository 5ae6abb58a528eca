"""The forms in which OpenAI's bodies give texts: a text, texts, token ids, or lists of token ids."""

from typing import Annotated

import msgspec

from jobs.errors import InvalidInput

TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Inputs = str | tuple[str | TokenId | tuple[TokenId, ...], ...]


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
    if len(given) > max_inputs:
        raise InvalidInput(f"{field} has {len(given)} items; at most {max_inputs} are allowed.", param=field)
    if not all(given):
        place = next(i for i, item in enumerate(given) if not item)
        raise InvalidInput(f"{field}[{place}] is empty.", param=field)
    return given  # pyright: ignore[reportReturnType]: one kind, and not int
