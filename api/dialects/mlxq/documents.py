"""What collections hold: GET /v1/collections and its documents."""

from typing import Annotated, Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.openapi.operation import reading
from api.requests.body import decode_query
from api.route import add_route
from jobs.errors import InvalidInput
from jobs.search.documents import CollectionInfo, DocumentInfo
from jobs.search.errors import StoreUnavailable, UnknownCollection, UnknownDocument


class DocumentListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """after: the `next` of the last part of the list."""

    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class CollectionListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[CollectionInfo, ...]


class DocumentListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[DocumentInfo, ...]
    has_more: bool
    next: str | None


_LIST = reading("search", CollectionListReply, StoreUnavailable)
_DOCUMENTS = reading(
    "search", DocumentListReply, InvalidInput, UnknownCollection, StoreUnavailable, query=DocumentListQuery
)
_DOCUMENT = reading("search", DocumentInfo, UnknownCollection, UnknownDocument, StoreUnavailable)


class Documents(Dialect):
    """/v1/collections, and a collection's documents."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/collections", self.list_collections, _LIST)
        documents = "/v1/collections/{collection}/documents"
        add_route(app, documents, self.list_documents, _DOCUMENTS)
        add_route(app, documents + "/{document}", self.retrieve_document, _DOCUMENT)

    async def list_collections(self, request: Request) -> Response:
        """The collections by name, with the models of their vectors."""
        found = await self.collections.list_collections()
        return json_response(msgspec.json.encode(CollectionListReply(data=found)))

    async def list_documents(self, request: Request) -> Response:
        """A collection's documents, in the order of their ids."""
        query = decode_query(request, DocumentListQuery)
        found = await self.collections.list_documents(
            request.path_params["collection"], after=query.after, limit=query.limit
        )
        reply = DocumentListReply(data=found.documents, has_more=found.next is not None, next=found.next)
        return json_response(msgspec.json.encode(reply))

    async def retrieve_document(self, request: Request) -> Response:
        """A document: where it lies, and how many pages it has."""
        found = await self.collections.document(
            request.path_params["collection"], request.path_params["document"]
        )
        return json_response(msgspec.json.encode(found))
