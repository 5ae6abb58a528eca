"""A part of a page's text, short enough for a model."""

import msgspec

SEPARATOR = " > "
"""Between the titles of headings."""

CHUNKS_A_PAGE = 100_000
"""At most: a chunk's number is its page's times this, and its place on the page."""


class Chunk(msgspec.Struct, frozen=True):
    """text is the page's text from start to end."""

    number: int
    """Unique within the document, and known without the pages before."""
    text: str
    heading: str
    """Titles of the headings above it, outermost first, with SEPARATOR between them; empty where there is none."""
    page: int
    label: str
    start: int
    end: int
    title: str = ""
    """As much of the innermost heading as the model reads before the text."""

    @property
    def titled(self) -> str:
        """What it is found by: its text below its title."""
        return titled(self.title, self.text)


def titled(title: str, text: str) -> str:
    """A text below its title, if it has one."""
    return f"{title}\n{text}" if title else text
