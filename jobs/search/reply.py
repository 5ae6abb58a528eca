"""What a search finds."""

import msgspec

from jobs.search.query import Kind


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """A page, or a chunk of text that begins on it."""

    collection: str
    document: str
    """Its id: the SHA-256 of the file's content, in hex."""
    paths: tuple[str, ...]
    """Where the document lay when it was ingested, best first. At least one."""
    page: int
    """The first is 1. Links use it."""
    label: str = ""
    """What the document itself calls the page: "iv". Empty: nothing."""
    kinds: tuple[Kind, ...]
    """By what it was found. The point, the text and the snippet are of the first."""
    score: float
    """The higher, the better: a reranker's score, else of one way of searching its own (visual: the sum of each query
    vector's best cosine; text: cosine; keywords: BM25), of several the sum of reciprocal ranks.
    """
    snippet: str = ""
    """Of a text hit: the part of the chunk that fits the query best, in one line."""
    matches: tuple[tuple[int, int], ...] = ()
    """Words of the query in the snippet: first character, and the one after the last."""
    heading: str = ""
    """Headings above the chunk, outermost first, with " > " between them."""
    text: str = ""
    """Of a text hit: the whole chunk."""
    point: str
    """Id of the point in the store."""


class DocumentHits(msgspec.Struct, frozen=True):
    """The hits of one document, best first; its score is that of the first."""

    document: str
    paths: tuple[str, ...]
    score: float
    hits: tuple[SearchHit, ...]


class Timing(msgspec.Struct, frozen=True):
    """How long a part of the search took."""

    part: str
    """embed, search, rerank."""
    ms: float


class SearchReply(msgspec.Struct, frozen=True):
    """Best first: hits or, where they were to be grouped, documents with theirs."""

    hits: tuple[SearchHit, ...] = ()
    groups: tuple[DocumentHits, ...] = ()
    timings: tuple[Timing, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and what to do: sentences for people."""
    similarity: float | None = None
    """The best cosine of a chunk of text, where it was asked for. None: nothing was searched by meaning, or images of
    pages were, too.
    """


class WordMap(msgspec.Struct, frozen=True):
    """Where on a page a part of the query is."""

    text: str
    """The word. Empty where it is not known which vectors are a word's: then there is a map for each vector."""
    grid: tuple[tuple[float, ...], ...]
    """Cosines, -1 to 1 (the highest of the word's vectors): rows of columns, from the top left of the page as shown."""


class Heatmap(msgspec.Struct, frozen=True):
    """One map for each word of the query, in order; all of the same shape."""

    rows: int
    columns: int
    maps: tuple[WordMap, ...]
