"""Characters that are no text."""

import re

_UNPRINTABLE = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
"""Control characters, those of private use, and the sign for a character that could not be read."""


def unprintable_share(text: str) -> float:
    """Of the characters that are not white space; 0 of none."""
    length = len("".join(text.split()))
    return len(_UNPRINTABLE.findall(text)) / length if length else 0.0


def printable(text: str) -> str:
    """As long as before: each unprintable character is a space."""
    return _UNPRINTABLE.sub(" ", text)
