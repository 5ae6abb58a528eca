"""Ways of searching, side by side on the same queries."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from ingest.evaluate.judgements import Judged, PageKey, ranking
from ingest.evaluate.measures import Measures, measure
from ingest.evaluate.modes import EvalMode
from jobs.search.query import SearchQuery
from jobs.search.reply import SearchReply


class Searches(Protocol):
    """Who searches: CollectionSearch (ingest.search.service)."""

    async def search(self, query: SearchQuery) -> SearchReply: ...


class ModeResult(msgspec.Struct, frozen=True):
    """How one way of searching did."""

    mode: str
    measures: Measures
    ms_p50: float
    """Of the search alone: the query's vectors are the same for all ways."""
    ms_p95: float
    bytes_per_page: float
    """Of the vectors that it reads."""
    by_kind: dict[str, Measures] = {}
    """Where the queries are of several kinds."""


class Comparison(msgspec.Struct, frozen=True):
    """All ways, in their order."""

    results: tuple[ModeResult, ...]
    same_first: float | None = None
    """How often prefetch finds the same first page as exact, and what share of its pages. None: not compared."""
    same_pages: float | None = None


async def compare(
    searches: Searches,
    collection: str,
    judged: Sequence[Judged],
    modes: Sequence[EvalMode],
    vector_bytes: Mapping[str, float],
    depth: int = 10,
    progress: Callable[[int], None] = lambda done: None,
) -> Comparison:
    """Each query by all modes, one after the other. vector_bytes: of a page, by the vectors' names.

    depth: pages of a ranking that count. progress: is told how many queries are done. Raises what `search` does.
    """
    rankings: dict[str, list[list[PageKey]]] = {mode.name: [] for mode in modes}
    times: dict[str, list[float]] = {mode.name: [] for mode in modes}
    for done, each in enumerate(judged, 1):
        for mode in modes:
            reply = await searches.search(mode.query(each.query, collection, depth))
            rankings[mode.name].append(ranking(reply.hits)[:depth])
            times[mode.name].append(sum(part.ms for part in reply.timings if part.part != "embed"))
        progress(done)
    results = tuple(
        ModeResult(
            mode.name,
            measure(judged, rankings[mode.name], depth),
            statistics.median(times[mode.name]),
            sorted(times[mode.name])[int(0.95 * (len(judged) - 1))],
            sum(vector_bytes.get(name, 0.0) for name in mode.vectors),
            _by_kind(judged, rankings[mode.name], depth),
        )
        for mode in modes
    )
    return Comparison(results, *_loss(rankings))


def _by_kind(judged: Sequence[Judged], found: Sequence[Sequence[PageKey]], depth: int) -> dict[str, Measures]:
    kinds = list(dict.fromkeys(each.kind for each in judged if each.kind))
    own = {kind: [at for at, each in enumerate(judged) if each.kind == kind] for kind in kinds}
    return {
        kind: measure([judged[at] for at in places], [found[at] for at in places], depth)
        for kind, places in own.items()
    }


def _loss(rankings: Mapping[str, Sequence[Sequence[PageKey]]]) -> tuple[float | None, float | None]:
    exact, prefetch = rankings.get("exact"), rankings.get("prefetch")
    if not exact or not prefetch:
        return None, None
    pairs = list(zip(exact, prefetch, strict=True))
    first = sum(one[:1] == other[:1] for one, other in pairs) / len(pairs)
    shares = [len({*one} & {*other}) / len(one) if one else 1.0 for one, other in pairs]
    return first, sum(shares) / len(shares)
