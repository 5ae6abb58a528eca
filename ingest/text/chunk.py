"""A part of a page's text, short enough for a model."""

import msgspec

CHUNKS_A_PAGE = 100_000
"""At most: a chunk's number is its page's times this, and its place on the page."""


class Chunk(msgspec.Struct, frozen=True):
    """text is the page's text from start to end."""

    number: int
    """Unique within the document, and known without the pages before."""
    text: str
    heading: str
    """Titles of the headings above it, outermost first, with " > " between them; empty where there is none."""
    page: int
    label: str
    start: int
    end: int
