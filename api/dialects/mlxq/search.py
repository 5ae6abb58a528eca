"""POST /v1/search: the pages that answer a question, or look like an image."""

from typing import Annotated

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.openapi.operation import WORKS, Operation
from api.requests.images import ImageReference, load_images
from api.route import add_route
from api.work.perform import CancelOnDisconnect
from jobs.errors import InvalidInput
from jobs.search.errors import StoreUnavailable, UnknownCollection
from jobs.search.query import Mode, PageFilter, SearchQuery
from jobs.search.reply import SearchReply

MAX_HITS = 100

Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_HITS)]
PageNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Few = Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)]


class SearchFilter(msgspec.Struct, frozen=True, kw_only=True):
    """All that is given must hold. documents: ids. paths: patterns (*, ?) of whole paths, or folders with a slash at
    their end. Pages are inclusive, the first is 1.
    """

    documents: Few = ()
    paths: Few = ()
    first_page: PageNumber | None = None
    last_page: PageNumber | None = None

    def page_filter(self) -> PageFilter:
        """As collections take it."""
        return PageFilter(self.documents, self.paths, self.first_page, self.last_page)


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A query, an image (an http(s) address, a data URI, or the base64 alone), or both. collections: all, if empty.

    mode: visual searches images of pages, text chunks of text by meaning, keywords by their words, hybrid by both, auto
    by all that there is. exact: visual search compares with every page. min_score: hits below are left out.
    """

    query: str = ""
    image: str | None = None
    collections: Few = ()
    limit: Count = 10
    mode: Mode = "auto"
    exact: bool = False
    filter: SearchFilter = SearchFilter()
    group_by_document: bool = False
    group_size: Count = 3
    rerank_model: str = ""
    min_score: float | None = None


_SEARCH = Operation(
    "POST",
    "search",
    {200: (SearchReply,)},
    (*WORKS, UnknownCollection, StoreUnavailable),
    body=(SearchRequest,),
    example={"query": "how long is a lease?", "limit": 3},
)
_decoder = msgspec.json.Decoder(SearchRequest)


class Search(Dialect):
    """/v1/search."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/search", self.search, _SEARCH)

    async def search(self, request: Request) -> Response:
        """The pages that fit best, best first."""
        asked, _ = await self.read(request, _decoder)
        if not asked.query.strip() and asked.image is None:
            raise InvalidInput("A search needs a query or an image.", param="query")
        image = None
        if asked.image is not None:
            [image] = await load_images([ImageReference(asked.image, "image")], self.context.images)
        with CancelOnDisconnect(request):
            reply = await self.collections.search(_query(asked, image))
        return json_response(msgspec.json.encode(reply))


def _query(asked: SearchRequest, image: bytes | None) -> SearchQuery:
    return SearchQuery(
        text=asked.query.strip(),
        image=image,
        collections=asked.collections,
        limit=asked.limit,
        mode=asked.mode,
        exact=asked.exact,
        filter=asked.filter.page_filter(),
        group_by_document=asked.group_by_document,
        group_size=asked.group_size,
        rerank_model=asked.rerank_model,
        min_score=asked.min_score,
    )
