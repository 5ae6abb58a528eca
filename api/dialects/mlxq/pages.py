"""A page of an ingested document: its image, its words, and where on it a query is."""

import re
from typing import Annotated, Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.openapi.operation import ASKS, WORKS, Operation, reading
from api.requests.body import decode_query
from api.route import add_route
from api.work.perform import CancelOnDisconnect
from jobs.errors import InvalidInput
from jobs.search.documents import PageRef, PageWord
from jobs.search.errors import (
    DocumentGone,
    DocumentUnreadable,
    StoreUnavailable,
    UnknownCollection,
    UnknownDocument,
)
from jobs.search.reply import Heatmap

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

# A document's id is its content, so a page never changes; what draws it may, with a new version.
_CACHED = {"Cache-Control": "private, max-age=86400"}


class ImageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """max_pixels: width times height of the image."""

    max_pixels: Annotated[int, msgspec.Meta(ge=1024, le=16_000_000)] = 1_000_000


class WordsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """query: its words are marked."""

    query: str = ""


class HeatmapQuery(msgspec.Struct, frozen=True, kw_only=True):
    query: Annotated[str, msgspec.Meta(min_length=1)]


class WordListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[PageWord, ...]


_FILE = (
    InvalidInput,
    UnknownCollection,
    UnknownDocument,
    DocumentGone,
    DocumentUnreadable,
    StoreUnavailable,
)
"""What reading a page can end with."""

_IMAGE = Operation("GET", "search", {200: ()}, (*_FILE, *ASKS), query=ImageQuery, file="image/png")
_WORDS = reading("search", WordListReply, *_FILE, query=WordsQuery)
_HEATMAP = Operation(
    "GET",
    "search",
    {200: (Heatmap,)},
    (*WORKS, UnknownCollection, UnknownDocument, StoreUnavailable),
    query=HeatmapQuery,
)


class Pages(Dialect):
    """/v1/collections/{collection}/documents/{document}/pages/{page}/…"""

    def add_routes(self, app: FastAPI) -> None:
        page = "/v1/collections/{collection}/documents/{document}/pages/{page}"
        add_route(app, f"{page}/image", self.retrieve_page_image, _IMAGE)
        add_route(app, f"{page}/words", self.list_page_words, _WORDS)
        add_route(app, f"{page}/heatmap", self.retrieve_heatmap, _HEATMAP)

    async def retrieve_page_image(self, request: Request) -> Response:
        """The page as a PNG."""
        query = decode_query(request, ImageQuery)
        with CancelOnDisconnect(request):
            image = await self.collections.page_image(_page_of(request), query.max_pixels)
        return Response(image, headers=_CACHED, media_type="image/png")

    async def list_page_words(self, request: Request) -> Response:
        """The words on the page, with their places and whether the query has them."""
        query = decode_query(request, WordsQuery)
        with CancelOnDisconnect(request):
            words = await self.collections.page_words(_page_of(request), query.query)
        return json_response(msgspec.json.encode(WordListReply(data=words)))

    async def retrieve_heatmap(self, request: Request) -> Response:
        """Where on the page each part of a query is, by the vectors of its image."""
        query = decode_query(request, HeatmapQuery)
        with CancelOnDisconnect(request):
            found = await self.collections.heatmap(_page_of(request), query.query)
        return json_response(msgspec.json.encode(found))


def _page_of(request: Request) -> PageRef:
    """Raises UnknownDocument where the page has no number."""
    asked = request.path_params
    if not _NUMBER.fullmatch(asked["page"]):
        raise UnknownDocument
    return PageRef(asked["collection"], asked["document"], int(asked["page"]))
