"""What tools reply. Models read it, so it is short and says what to do next."""

from pydantic import BaseModel, Field

from jobs.search.documents import DocumentInfo
from jobs.search.question import Source
from jobs.search.reply import SearchHit


class FoundPage(BaseModel):
    """A page that was found."""

    collection: str
    document: str = Field(description="id of the document, for get_page")
    path: str
    page: int
    label: str = Field(description="what the document itself calls the page; may be empty")
    score: float
    text: str = Field(
        description="what is written there; empty where the page was found by its image: see get_page"
    )


class FoundPages(BaseModel):
    """Best first."""

    pages: list[FoundPage]
    notes: list[str]


class CitedPage(BaseModel):
    """A page that an answer names by its number."""

    number: int
    collection: str
    document: str
    path: str
    page: int


class Answer(BaseModel):
    """An answer from documents alone."""

    answer: str
    citations: list[CitedPage]
    notes: list[str]


class ListedDocument(BaseModel):
    """A document of a collection."""

    document: str
    paths: list[str]
    pages: int


class ListedDocuments(BaseModel):
    """A part of a collection's documents."""

    collection: str
    documents: list[ListedDocument]
    next: str | None = Field(description="pass it as `after` for those that follow; null at the end")


def found_page(hit: SearchHit) -> FoundPage:
    """A hit of a search."""
    return FoundPage(
        collection=hit.collection,
        document=hit.document,
        path=hit.paths[0],
        page=hit.page,
        label=hit.label,
        score=hit.score,
        text=hit.text,
    )


def cited_page(source: Source) -> CitedPage:
    """A source that an answer cites."""
    return CitedPage(
        number=source.number,
        collection=source.collection,
        document=source.document,
        path=source.path,
        page=source.page,
    )


def listed_document(info: DocumentInfo) -> ListedDocument:
    """A document as it is listed."""
    return ListedDocument(document=info.document, paths=list(info.paths), pages=info.pages)
