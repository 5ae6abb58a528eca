"""What collections hold."""

import msgspec

from jobs.search.query import Kind


class CollectionPart(msgspec.Struct, frozen=True):
    """The vectors of one kind."""

    kind: Kind
    model: str
    """Its id when they were made. Queries are embedded by it."""
    dimensions: int
    points: int
    """Pages, or chunks."""


class CollectionInfo(msgspec.Struct, frozen=True):
    """A collection under the name that users know."""

    name: str
    parts: tuple[CollectionPart, ...]
    documents: int


class DocumentInfo(msgspec.Struct, frozen=True):
    """A document, by its content."""

    collection: str
    document: str
    """Its id: the SHA-256 of the content, in hex."""
    paths: tuple[str, ...]
    """Where it lay when it was ingested, best first. At least one."""
    pages: int
    """The highest number of a page that is in the collection."""
    kinds: tuple[Kind, ...]
    ingested_at: float
    """Seconds since the epoch."""


class DocumentList(msgspec.Struct, frozen=True):
    """A part of a list of documents, in the order of their ids."""

    documents: tuple[DocumentInfo, ...]
    next: str | None
    """The id after which the list goes on; None at its end."""


class PageRef(msgspec.Struct, frozen=True):
    """A page of a document in a collection. Only what was ingested has one; nobody names a file by its path."""

    collection: str
    document: str
    page: int
    """The first is 1."""


class PageWord(msgspec.Struct, frozen=True):
    """A word on a page. The box is a share of the page as shown: 0 to 1, from the top left."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    matches: bool = False
    """It is a word of the query."""


class PageText(msgspec.Struct, frozen=True):
    """What can be read on a page."""

    text: str
    """Empty: the page has none, or is only an image of some."""
    has_image: bool
    """False: text is all there is (Markdown, HTML, …), and `page_image` has nothing to draw."""
