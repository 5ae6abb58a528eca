"""Found points as hits that people read."""

from collections.abc import Sequence

from ingest.search.found import Found
from ingest.text.snippet import snippet
from jobs.search.reply import DocumentHits, SearchHit


def hit_of(found: Found, query: str) -> SearchHit:
    """With the part of its text that fits the query best."""
    shown = snippet(found.text, query)
    return SearchHit(
        collection=found.collection,
        document=found.document,
        paths=found.paths,
        page=found.page,
        label=found.label,
        kinds=found.kinds,
        score=found.score,
        snippet=shown.text,
        matches=shown.matches,
        heading=found.heading,
        text=found.text,
        point=found.point,
    )


def group_of(found: Sequence[Found], query: str) -> DocumentHits:
    """found: of one document, best first."""
    first = found[0]
    return DocumentHits(
        first.document, first.paths, first.score, tuple(hit_of(each, query) for each in found)
    )
