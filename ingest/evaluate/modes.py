"""The ways of searching that are measured side by side."""

from collections.abc import Collection
from typing import NamedTuple

from ingest.collections import layout
from jobs.search.query import Kind, Mode, SearchQuery

CHUNKS_PER_PAGE = 4
"""Hits of text that are asked for, for each page that is judged: several may be of one page."""


class EvalMode(NamedTuple):
    """One way of searching."""

    name: str
    mode: Mode
    kinds: tuple[Kind, ...]
    """What the collection must have for it."""
    vectors: tuple[str, ...]
    """Those that it reads."""
    exact: bool = False
    rerank_model: str = ""

    def query(self, text: str, collection: str, depth: int) -> SearchQuery:
        """For the best `depth` pages."""
        return SearchQuery(
            text,
            collections=(collection,),
            limit=depth if self.kinds == ("visual",) else depth * CHUNKS_PER_PAGE,
            mode=self.mode,
            exact=self.exact,
            rerank_model=self.rerank_model,
        )


_PATCHES, _DENSE, _WORDS = layout.PATCHES, layout.DENSE, layout.BM25
_PAGES = (_PATCHES, layout.TILES, layout.REGIONS)
MODES = (
    EvalMode("exact", "visual", ("visual",), (_PATCHES,), exact=True),
    EvalMode("prefetch", "visual", ("visual",), _PAGES),
    EvalMode("text", "text", ("text",), (_DENSE,)),
    EvalMode("keywords", "keywords", ("text",), (_WORDS,)),
    EvalMode("hybrid", "hybrid", ("text",), (_DENSE, _WORDS)),
    EvalMode("auto", "auto", ("visual", "text"), (*_PAGES, _DENSE, _WORDS)),
)
"""exact and prefetch compare images of pages, text the meaning of chunks, keywords their words. hybrid joins the last
two, auto everything.
"""


def modes_of(kinds: Collection[Kind], rerank_model: str = "") -> list[EvalMode]:
    """Those that a collection with these kinds allows. With a reranker, the last of them once more with it."""
    found = [each for each in MODES if set(each.kinds) <= set(kinds)]
    if rerank_model and found:
        found.append(found[-1]._replace(name="reranked", rerank_model=rerank_model))
    return found
