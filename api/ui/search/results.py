"""What a search has found, as the page shows it."""

from collections.abc import Iterator
from typing import NamedTuple

from api.ui.formats import number
from api.ui.links import file_url, page_name, page_url
from api.ui.search.address import HITS_OF_A_DOCUMENT, SearchAddress
from jobs.search.documents import DocumentInfo
from jobs.search.query import Kind
from jobs.search.reply import DocumentHits, SearchHit, SearchReply

FOUND_BY: dict[Kind, str] = {"visual": "page image", "text": "text"}


class Piece(NamedTuple):
    """Of a snippet."""

    text: str
    is_match: bool


class HitView(NamedTuple):
    """A page that was found."""

    url: str
    """Of the viewer."""
    thumbnail: str
    number: int
    page: str
    """As the document calls it, and its number where that is another one."""
    score: str
    found_by: tuple[str, ...]
    heading: str
    snippet: tuple[Piece, ...]


class GroupView(NamedTuple):
    """A document, with its best pages."""

    title: str
    format: str
    """The end of its name: PDF."""
    folder: str
    also: tuple[str, ...]
    """Other paths of the same content."""
    collection: str
    hits: tuple[HitView, ...]
    file: str
    """Address of the document itself."""
    more: str
    """Address of a search in this document alone. Empty: everything is shown."""


class Chip(NamedTuple):
    """A restriction, and the address without it."""

    text: str
    url: str


def group_views(reply: SearchReply, address: SearchAddress) -> list[GroupView]:
    """In the order of the reply."""
    return [_group(each, address) for each in reply.groups]


def hit_views(reply: SearchReply, address: SearchAddress) -> list[HitView]:
    """All hits of a reply that is grouped, in the order of their pages."""
    hits = [hit for group in reply.groups for hit in group.hits]
    return [_hit(each, address) for each in sorted(hits, key=lambda hit: hit.page)]


def chips(address: SearchAddress, document_title: str) -> list[Chip]:
    """The restrictions that are not among the fields that are always in sight."""
    found = list[Chip]()
    if address.document:
        found.append(Chip(f"only in {document_title}", address.url(document="")))
    if address.path:
        found.append(Chip(f"path {address.path}", address.url(path="")))
    first, last = address.first_page, address.last_page
    if first or last:
        found.append(Chip(_range(first, last), address.url(first_page=None, last_page=None)))
    if address.min_score is not None:
        found.append(Chip(f"score from {number(address.min_score)}", address.url(min_score=None)))
    if address.exact:
        found.append(Chip("exact", address.url(exact=False)))
    if address.rerank:
        found.append(Chip(f"reranked by {address.rerank}", address.url(rerank="")))
    return found


def format_of(name: str) -> str:
    """PDF, of report.pdf and of report.pdf.gz. Empty: the name does not say it."""
    stem, _, suffix = name.lower().removesuffix(".gz").rpartition(".")
    return suffix.upper() if stem and len(suffix) <= 5 and suffix.isalnum() else ""


def title_of(document: DocumentInfo) -> str:
    """Its file's name."""
    return document.paths[0].rpartition("/")[2]


def _range(first: int | None, last: int | None) -> str:
    if first == last:
        return f"page {first}"
    if last is None:
        return f"from page {first}"
    return f"up to page {last}" if first is None else f"pages {first} to {last}"


def _group(group: DocumentHits, address: SearchAddress) -> GroupView:
    folder, _, title = group.paths[0].rpartition("/")
    best = group.hits[0]
    is_cut = not address.document and len(group.hits) >= HITS_OF_A_DOCUMENT
    return GroupView(
        title=title,
        format=format_of(title),
        folder=folder,
        also=group.paths[1:],
        collection=best.collection,
        hits=tuple(_hit(each, address) for each in group.hits),
        file=file_url(best.collection, group.document, best.page),
        more=address.url(document=group.document) if is_cut else "",
    )


def _hit(hit: SearchHit, address: SearchAddress) -> HitView:
    page = page_url(hit.collection, hit.document, hit.page)
    return HitView(
        url=address.url(page) + ("&heat=all" if hit.kinds[0] == "visual" and address.text else ""),
        thumbnail=f"{page}/thumbnail",
        number=hit.page,
        page=page_name(hit.page, hit.label),
        score=number(hit.score),
        found_by=tuple(FOUND_BY[each] for each in hit.kinds),
        heading=hit.heading,
        snippet=tuple(pieces(hit.snippet, hit.matches)),
    )


def pieces(text: str, matches: tuple[tuple[int, int], ...]) -> Iterator[Piece]:
    """The text in pieces that match and that do not; overlapping matches are one."""
    at = 0
    for start, end in sorted(matches):
        start, end = max(start, at), min(end, len(text))
        if start >= end:
            continue
        if at < start:
            yield Piece(text[at:start], is_match=False)
        yield Piece(text[start:end], is_match=True)
        at = end
    if at < len(text):
        yield Piece(text[at:], is_match=False)
