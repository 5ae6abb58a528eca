"""OpenAI's search in a vector store: its filters as ours, and our hits as its results."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal

import msgspec

from api.requests.parameters import Refused
from jobs.errors import InvalidInput
from jobs.search.query import PageFilter, SearchQuery
from jobs.search.reply import SearchHit

MAX_RESULTS = 50

_RANKERS = ("auto", "none", "default-2024-11-15")
"""OpenAI's own; any other is the name of a reranker."""

Value = str | float | bool | list[str | float]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """key: document, path or page. A path may be a pattern."""

    key: str
    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    value: Value


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison (type eq, in, gt, …, with key and value), or several that all hold (type and, with filters)."""

    type: Literal["and", "or", "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str | None = None
    value: Value | None = None
    filters: list["Filters"] | None = None


class RankingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """ranker: the name of a served reranker orders the results anew; OpenAI's names leave them as they are found.
    score_threshold: what scores mean depends on what the store holds.
    """

    ranker: str = "auto"
    score_threshold: float | None = None


class VectorSearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """query: several texts are read as one."""

    query: str | list[str]
    filters: Filters | None = None
    max_num_results: Annotated[int, msgspec.Meta(ge=1, le=MAX_RESULTS)] = 10
    ranking_options: RankingOptions | None = None
    rewrite_query: Annotated[Any, Refused("queries are searched as they are. Leave it out.")] = None


class ResultContent(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["text"] = "text"
    text: str


class VectorSearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """content: empty for a page that was found by its image. attributes: path, page and label, by which results can be
    filtered or linked.
    """

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | float | bool]
    content: list[ResultContent]


class VectorSearchReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[VectorSearchResult]
    has_more: bool = False
    next_page: str | None = None


def search_query(asked: VectorSearchRequest, store: str) -> SearchQuery:
    """Raises InvalidInput naming the field."""
    texts = [asked.query] if isinstance(asked.query, str) else asked.query
    text = "\n".join(texts).strip()
    if not text:
        raise InvalidInput("query is empty.", param="query")
    ranking = asked.ranking_options or RankingOptions()
    return SearchQuery(
        text=text,
        collections=(store,),
        limit=asked.max_num_results,
        filter=page_filter(asked.filters) if asked.filters else PageFilter(),
        rerank_model="" if ranking.ranker in _RANKERS else ranking.ranker,
        min_score=ranking.score_threshold or None,  # its clients send 0 for none
    )


def encode_results(asked: VectorSearchRequest, hits: Sequence[SearchHit]) -> bytes:
    """The reply as JSON bytes."""
    texts = [asked.query] if isinstance(asked.query, str) else asked.query
    return msgspec.json.encode(VectorSearchReply(search_query=texts, data=list(map(_result, hits))))


def page_filter(filters: Filters) -> PageFilter:
    """Raises InvalidInput for what cannot be asked of collections."""
    found = PageFilter()
    for each in _comparisons(filters):
        key, narrow = each.key, _NARROW.get((each.key, each.type))
        if narrow is None:
            raise InvalidInput(
                f"filters: {each.type!r} of {key[:100]!r} cannot be asked. There is: {_KNOWN}, and 'and' of these.",
                param="filters",
            )
        found = narrow(found, each.value)
    return found


def _comparisons(filters: Filters, depth: int = 0) -> Iterator[Comparison]:
    if filters.type == "or" or depth > 10:
        raise InvalidInput(
            "filters: 'or' cannot be asked. For several values of a field, use 'in'.", param="filters"
        )
    if filters.type == "and":
        for each in filters.filters or ():
            yield from _comparisons(each, depth + 1)
        return
    if filters.key is None or filters.value is None:
        raise InvalidInput("filters: a comparison needs `key` and `value`.", param="filters")
    yield Comparison(key=filters.key, type=filters.type, value=filters.value)


def _texts(value: Value) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise InvalidInput("filters: documents and paths are texts.", param="filters")
    return tuple(map(str, values))


def _number(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, float | int) or not 0 <= value < 2**31:
        raise InvalidInput("filters: a page is a number.", param="filters")
    return int(value)


def _documents(found: PageFilter, value: Value) -> PageFilter:
    wanted = _texts(value)
    both = tuple(each for each in wanted if each in found.documents) if found.documents else wanted
    # Where nothing is left, no document has this id.
    return msgspec.structs.replace(found, documents=both or ("none",))


def _paths(found: PageFilter, value: Value) -> PageFilter:
    if found.paths:
        raise InvalidInput("filters: two conditions on paths cannot be asked together.", param="filters")
    return msgspec.structs.replace(found, paths=_texts(value))


def _from_page(found: PageFilter, first: int) -> PageFilter:
    return msgspec.structs.replace(found, first_page=max(first, found.first_page or 1))


def _to_page(found: PageFilter, last: int) -> PageFilter:
    return msgspec.structs.replace(
        found, last_page=last if found.last_page is None else min(last, found.last_page)
    )


def _only_page(found: PageFilter, value: Value) -> PageFilter:
    return _to_page(_from_page(found, _number(value)), _number(value))


_Narrow = Callable[[PageFilter, Any], PageFilter]
_NARROW: dict[tuple[str, str], _Narrow] = {
    ("document", "eq"): _documents,
    ("document", "in"): _documents,
    ("path", "eq"): _paths,
    ("path", "in"): _paths,
    ("page", "eq"): _only_page,
    ("page", "gte"): lambda found, value: _from_page(found, _number(value)),
    ("page", "gt"): lambda found, value: _from_page(found, _number(value) + 1),
    ("page", "lte"): lambda found, value: _to_page(found, _number(value)),
    ("page", "lt"): lambda found, value: _to_page(found, _number(value) - 1),
}
_KNOWN = ", ".join(f"{kind!r} of {key!r}" for key, kind in _NARROW)


def _result(hit: SearchHit) -> VectorSearchResult:
    return VectorSearchResult(
        file_id=hit.document,
        filename=PurePath(hit.paths[0]).name,
        score=hit.score,
        attributes={"path": hit.paths[0], "page": hit.page, "label": hit.label},
        content=[ResultContent(text=hit.text)] if hit.text else [],
    )
