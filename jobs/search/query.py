"""What is searched for, and where."""

from typing import Literal

import msgspec

Kind = Literal["visual", "text"]
"""A collection has up to two kinds of vectors: of pages as images, and of chunks of text."""

Mode = Literal["auto", "visual", "hybrid", "text", "keywords"]
"""visual: images of pages. text: chunks by meaning. keywords: chunks by their words (BM25). hybrid: text and keywords,
joined by reciprocal rank. auto: visual and hybrid, as far as the collection has them, joined likewise.
"""


class PageFilter(msgspec.Struct, frozen=True):
    """All that is given must hold."""

    documents: tuple[str, ...] = ()
    """Ids, of which the document has one."""
    paths: tuple[str, ...] = ()
    """Patterns (*, ?, [abc]) of which one fits a whole path of the document; * fits slashes, too. One that ends with a
    slash is a folder.
    """
    first_page: int | None = None
    last_page: int | None = None
    """Inclusive; the first page is 1."""


class SearchQuery(msgspec.Struct, frozen=True):
    """A text or an image is needed. Both: they are read together as one."""

    text: str = ""
    image: bytes | None = None
    """An encoded image (PNG, JPEG, …)."""
    collections: tuple[str, ...] = ()
    """Names. Empty: all."""
    limit: int = 10
    """Most hits or, grouped, most documents."""
    mode: Mode = "auto"
    exact: bool = False
    """Visual: compare with every page, not only with those that a search among pooled vectors chose."""
    filter: PageFilter = PageFilter()
    group_by_document: bool = False
    group_size: int = 3
    """Most hits of a document, where grouped."""
    rerank_model: str = ""
    """Orders the best hits anew. Empty: as they are found."""
    min_score: float | None = None
    """Hits below are left out. What scores mean depends on the mode: see SearchHit."""
    with_similarity: bool = False
    """The reply tells how near the nearest chunk of text is, which joined ranks do not."""
