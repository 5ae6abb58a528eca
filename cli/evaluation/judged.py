"""Queries with the pages that are right, for a collection."""

from collections.abc import Sequence
from pathlib import Path

from ingest.documents.page import Bookmark
from ingest.evaluate.bookmarks import bookmark_judgements
from ingest.evaluate.generated.corpus import generate
from ingest.evaluate.judgements import Judged, PageKey
from ingest.evaluate.qrels import QrelsUnusable, read_judgements
from ingest.search.service import CollectionSearch
from jobs.errors import InvalidInput
from jobs.search.documents import DocumentInfo
from jobs.search.errors import DocumentGone, DocumentUnreadable, UnknownDocument

LISTED = 500


async def documents_of(searches: CollectionSearch, collection: str) -> list[DocumentInfo]:
    """All of them."""
    found = list[DocumentInfo]()
    after: str | None = None
    while True:
        part = await searches.list_documents(collection, after=after, limit=LISTED)
        found += part.documents
        if part.next is None:
            return found
        after = part.next


async def of_bookmarks(
    searches: CollectionSearch, documents: Sequence[DocumentInfo], limit: int
) -> tuple[list[Judged], str]:
    """And where they are from. Documents that are gone or have no bookmarks are left out. Raises InvalidInput."""
    outlines: dict[str, list[Bookmark]] = {}
    for each in documents:
        try:
            bookmarks = await searches.outline(each.collection, each.document)
        except (DocumentGone, DocumentUnreadable, UnknownDocument):
            continue
        if there := [bookmark for bookmark in bookmarks if bookmark.page <= each.pages]:
            outlines[each.document] = there
    judged = bookmark_judgements(outlines, limit)
    if not judged:
        raise InvalidInput(
            "No document of the collection has bookmarks. Give judgements of yours (--qrels, --queries), or use the "
            "generated document: mlxq eval --generate FOLDER"
        )
    return judged, f"bookmarks of {len(outlines)} documents"


async def of_generated(
    searches: CollectionSearch, collection: str, pages: int, limit: int
) -> tuple[list[Judged], str]:
    """And where they are from. Raises InvalidInput."""
    corpus = generate(pages)
    document = next(iter(corpus.judged[0].grades)).document
    try:
        await searches.document(collection, document)
    except UnknownDocument as error:
        raise InvalidInput(
            f"The collection {collection!r} does not have the generated document of {pages} pages: mlxq eval "
            f"--generate FOLDER --pages {pages}, then mlxq ingest FOLDER --into NEW"
        ) from error
    return list(corpus.judged[:limit]), f"facts of the generated document of {pages} pages"


def of_qrels(
    documents: Sequence[DocumentInfo], qrels: Path, queries: Path, limit: int
) -> tuple[list[Judged], str]:
    """And where they are from. Raises InvalidInput."""
    by_path = {path: each for each in documents for path in each.paths}

    def pages_of(path: str, page: int | None) -> list[PageKey]:
        found = by_path.get(path)
        if found is None:
            return []
        numbers = range(1, found.pages + 1) if page is None else [page]
        return [PageKey(found.document, number) for number in numbers]

    try:
        judged = read_judgements(qrels, queries, pages_of)
    except QrelsUnusable as error:
        raise InvalidInput(str(error)) from error
    except OSError as error:
        raise InvalidInput(f"Cannot read {error.filename}: {error.strerror}.") from error
    if not judged:
        raise InvalidInput(f"{qrels} has no page that is right.")
    return judged[:limit], f"{qrels.name}"
