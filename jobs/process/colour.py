"""Colours of a terminal, where the reader is one and wants them."""

import os
import re
from typing import Literal, TextIO

Colour = Literal["bold", "red", "green", "yellow"]

_PAINT = re.compile(r"\x1b\[[0-9;]*m")
_CODES: dict[Colour, int] = {"bold": 1, "red": 31, "green": 32, "yellow": 33}


def shows_colours(stream: TextIO) -> bool:
    """Whether it is a terminal, and neither NO_COLOR (https://no-color.org) nor a TERM without them is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: Colour, stream: TextIO) -> str:
    """The text as it is where the stream shows none."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if shows_colours(stream) else text


def bleach(text: str) -> str:
    """The text without colours."""
    return _PAINT.sub("", text)
