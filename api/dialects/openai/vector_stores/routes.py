"""OpenAI's vector stores: collections under another name. Their files are the documents that `mlxq ingest` took."""

from typing import Annotated

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.openai.vector_stores.replies import (
    FileContent,
    VectorStoreDeletedReply,
    VectorStoreFileContentReply,
    VectorStoreFileDeletedReply,
    VectorStoreFileListReply,
    VectorStoreFileReply,
    VectorStoreListReply,
    VectorStoreReply,
    file_reply,
    store_reply,
)
from api.dialects.openai.vector_stores.search import (
    VectorSearchReply,
    VectorSearchRequest,
    encode_results,
    search_query,
)
from api.openapi.operation import ASKS, WORKS, Operation, reading
from api.requests.body import decode_query
from api.requests.parameters import Refused
from api.route import add_route
from api.work.perform import CancelOnDisconnect
from jobs.errors import InvalidInput
from jobs.search.documents import PageRef
from jobs.search.errors import (
    CollectionBusy,
    DocumentGone,
    DocumentUnreadable,
    StoreUnavailable,
    UnknownCollection,
    UnknownDocument,
)


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """after: the id of the last one that the caller has."""

    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    order: Annotated[str | None, Refused("lists are in the order of ids.", unless=(None, "desc"))] = None
    before: Annotated[str | None, Refused("lists are read forwards only. Send after.")] = None


class FileListQuery(ListQuery, frozen=True, kw_only=True):
    filter: Annotated[
        str | None, Refused("all files of a store are completed.", unless=(None, "completed"))
    ] = None


_STORES = reading("search", VectorStoreListReply, InvalidInput, StoreUnavailable, query=ListQuery)
_STORE = reading("search", VectorStoreReply, UnknownCollection, StoreUnavailable)
_FILES = reading(
    "search", VectorStoreFileListReply, InvalidInput, UnknownCollection, StoreUnavailable, query=FileListQuery
)
_FILE = reading("search", VectorStoreFileReply, UnknownCollection, UnknownDocument, StoreUnavailable)
_CONTENT = reading(
    "search",
    VectorStoreFileContentReply,
    UnknownCollection,
    UnknownDocument,
    DocumentGone,
    DocumentUnreadable,
    StoreUnavailable,
)
_SEARCH = Operation(
    "POST",
    "search",
    {200: (VectorSearchReply,)},
    (*WORKS, UnknownCollection, StoreUnavailable),
    body=(VectorSearchRequest,),
    example={"query": "how long is a lease?", "max_num_results": 3},
)
_DELETE_STORE = Operation(
    "DELETE",
    "search",
    {200: (VectorStoreDeletedReply,)},
    (UnknownCollection, CollectionBusy, StoreUnavailable, *ASKS),
)
_DELETE_FILE = Operation(
    "DELETE",
    "search",
    {200: (VectorStoreFileDeletedReply,)},
    (UnknownCollection, UnknownDocument, CollectionBusy, StoreUnavailable, *ASKS),
)
_REFUSED = Operation("POST", "search", {}, (InvalidInput, *ASKS))

_decoder = msgspec.json.Decoder(VectorSearchRequest)


class VectorStores(Dialect):
    """/v1/vector_stores, and what of /v1/files there cannot be."""

    def add_routes(self, app: FastAPI) -> None:
        store = "/v1/vector_stores/{vector_store_id}"
        file = f"{store}/files/{{file_id}}"
        add_route(app, f"{store}/search", self.search_vector_store, _SEARCH)
        add_route(app, "/v1/vector_stores", self.list_vector_stores, _STORES)
        add_route(app, store, self.retrieve_vector_store, _STORE)
        add_route(app, f"{store}/files", self.list_vector_store_files, _FILES)
        add_route(app, file, self.retrieve_vector_store_file, _FILE)
        add_route(app, f"{file}/content", self.retrieve_vector_store_file_content, _CONTENT)
        add_route(app, store, self.delete_vector_store, _DELETE_STORE)
        add_route(app, file, self.delete_vector_store_file, _DELETE_FILE)
        add_route(app, "/v1/vector_stores", self.create_vector_store, _REFUSED)
        add_route(app, store, self.update_vector_store, _REFUSED)
        add_route(app, f"{store}/files", self.create_vector_store_file, _REFUSED)
        add_route(app, f"{store}/file_batches", self.create_vector_store_file_batch, _REFUSED)
        add_route(app, file, self.update_vector_store_file, _REFUSED)
        add_route(app, "/v1/files", self.create_file, _REFUSED)

    async def search_vector_store(self, request: Request) -> Response:
        """The chunks and pages of a store that fit best, best first."""
        asked, _ = await self.read(request, _decoder)
        query = search_query(asked, request.path_params["vector_store_id"])
        with CancelOnDisconnect(request):
            found = await self.collections.search(query)
        return json_response(encode_results(asked, found.hits))

    async def list_vector_stores(self, request: Request) -> Response:
        """All collections, by name."""
        query = decode_query(request, ListQuery)
        found = [store_reply(each) for each in await self.collections.list_collections()]
        left = [each for each in found if query.after is None or each.id > query.after]
        shown = left[: query.limit]
        reply = VectorStoreListReply(
            data=shown,
            first_id=shown[0].id if shown else None,
            last_id=shown[-1].id if shown else None,
            has_more=len(left) > len(shown),
        )
        return json_response(msgspec.json.encode(reply))

    async def retrieve_vector_store(self, request: Request) -> Response:
        """One collection."""
        name = request.path_params["vector_store_id"]
        for each in await self.collections.list_collections():
            if each.name == name:
                return json_response(msgspec.json.encode(store_reply(each)))
        raise UnknownCollection

    async def list_vector_store_files(self, request: Request) -> Response:
        """The documents of a collection."""
        query = decode_query(request, FileListQuery)
        found = await self.collections.list_documents(
            request.path_params["vector_store_id"], after=query.after, limit=query.limit
        )
        shown = [file_reply(each) for each in found.documents]
        reply = VectorStoreFileListReply(
            data=shown,
            first_id=shown[0].id if shown else None,
            last_id=shown[-1].id if shown else None,
            has_more=found.next is not None,
        )
        return json_response(msgspec.json.encode(reply))

    async def retrieve_vector_store_file(self, request: Request) -> Response:
        """One document."""
        asked = request.path_params
        found = await self.collections.document(asked["vector_store_id"], asked["file_id"])
        return json_response(msgspec.json.encode(file_reply(found)))

    async def retrieve_vector_store_file_content(self, request: Request) -> Response:
        """What can be read in a document, page by page."""
        asked = request.path_params
        document = await self.collections.document(asked["vector_store_id"], asked["file_id"])
        pages: list[FileContent] = []
        with CancelOnDisconnect(request):
            for number in range(1, document.pages + 1):
                page = PageRef(document.collection, document.document, number)
                pages.append(FileContent(text=(await self.collections.page_text(page)).text))
        return json_response(msgspec.json.encode(VectorStoreFileContentReply(data=pages)))

    async def delete_vector_store(self, request: Request) -> Response:
        """A collection with all that it has. Its documents' files stay where they are."""
        name = request.path_params["vector_store_id"]
        await self.collections.remove_collection(name)
        return json_response(msgspec.json.encode(VectorStoreDeletedReply(id=name)))

    async def delete_vector_store_file(self, request: Request) -> Response:
        """A document leaves a collection. Where `mlxq ingest` finds its file again, it is ingested again."""
        asked = request.path_params
        await self.collections.remove_document(asked["vector_store_id"], asked["file_id"])
        return json_response(msgspec.json.encode(VectorStoreFileDeletedReply(id=asked["file_id"])))

    async def update_vector_store(self, request: Request) -> Response:
        """Always refused: a collection keeps its name, and no metadata but those of its vectors."""
        raise InvalidInput(
            "A vector store keeps its name, and has no metadata: `mlxq ingest FOLDER --into NAME` makes another one."
        )

    async def create_vector_store(self, request: Request) -> Response:
        """Always refused: a collection is made by `mlxq ingest`."""
        raise InvalidInput(
            "Vector stores are not made here: `mlxq ingest FOLDER --into NAME` makes one of a folder's documents."
        )

    async def create_vector_store_file(self, request: Request) -> Response:
        """Always refused: documents come in by `mlxq ingest`."""
        raise InvalidInput(
            "Files are not added here: `mlxq ingest FOLDER --into NAME` adds a folder's documents to a vector store."
        )

    async def create_vector_store_file_batch(self, request: Request) -> Response:
        """Always refused: documents come in by `mlxq ingest`."""
        return await self.create_vector_store_file(request)

    async def update_vector_store_file(self, request: Request) -> Response:
        """Always refused: what is told of a document is read from its file."""
        raise InvalidInput(
            "A file's attributes are its path and its pages: they change when `mlxq ingest` finds it changed."
        )

    async def create_file(self, request: Request) -> Response:
        """Always refused: files are read where they lie."""
        raise InvalidInput(
            "Files are not uploaded: `mlxq ingest FOLDER --into NAME` reads them where they lie."
        )
