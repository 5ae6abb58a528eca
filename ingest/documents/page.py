"""What is read of a document. Pages count from 1."""

import msgspec

from ingest.documents.problem import Problem


class PageImage(msgspec.Struct, frozen=True):
    """The picture of a page."""

    width: int
    height: int
    pixels: bytes
    """RGB, 3 bytes a pixel, row by row from the top."""


class Heading(msgspec.Struct, frozen=True):
    """A heading within a page's text."""

    title: str
    start: int
    """Character of the text at which it begins."""
    level: int = 0
    """0 for the outermost ones; what follows is below it until one of its level or a lower number comes."""


class Page(msgspec.Struct, frozen=True):
    """A page, as far as it was asked for."""

    number: int
    label: str
    """What the document itself calls it: "iv", "A-3"; its number where it has no other name."""
    image: PageImage | None = None
    text: str | None = None
    headings: tuple[Heading, ...] = ()
    warnings: tuple[Problem, ...] = ()
    """What may make it hard to find, although it was read."""


class Word(msgspec.Struct, frozen=True):
    """A word and its box, from 0 to 1 of the page as it is shown: turned, from the upper left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    start: int = -1
    """Character of the page's text at which it begins; -1 where that is not known."""


class Bookmark(msgspec.Struct, frozen=True):
    """An entry of a document's outline."""

    title: str
    page: int
    level: int
    """0 for those at the top."""
