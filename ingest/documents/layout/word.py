"""What a layout is made of."""

from typing import NamedTuple

from ingest.documents.layout.box import Box


class PlacedWord(NamedTuple):
    """Characters without white space between them, on one line."""

    text: str
    box: Box
    """In points. Its height is the line's, not the letters': words of one font and size on a line are equally high."""
    glued: bool = False
    """No white space was between it and the word before it."""
    quarters: int = 0
    """Clockwise quarters of a turn by which the word is turned on the page."""
    first: int = 0
    """Index of its first character where it was read from; its characters follow one another."""
