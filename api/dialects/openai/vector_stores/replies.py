"""Collections and documents as OpenAI's vector stores and their files."""

from pathlib import PurePath
from typing import Literal

import msgspec

from jobs.search.documents import CollectionInfo, DocumentInfo


class FileCounts(msgspec.Struct, frozen=True, kw_only=True):
    in_progress: int = 0
    completed: int
    failed: int = 0
    cancelled: int = 0
    total: int


class VectorStoreReply(msgspec.Struct, frozen=True, kw_only=True):
    """id, name: the collection's name. created_at, usage_bytes: not known, 0."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int = 0
    name: str
    usage_bytes: int = 0
    file_counts: FileCounts
    status: Literal["completed"] = "completed"
    expires_after: None = None
    expires_at: int | None = None
    last_active_at: int | None = None
    metadata: dict[str, str] = {}


class VectorStoreListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[VectorStoreReply]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VectorStoreFileReply(msgspec.Struct, frozen=True, kw_only=True):
    """id: the document's. attributes: path, filename and pages."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    usage_bytes: int = 0
    status: Literal["completed"] = "completed"
    last_error: None = None
    attributes: dict[str, str | float | bool]


class VectorStoreFileListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[VectorStoreFileReply]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileContent(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a page."""

    type: Literal["text"] = "text"
    text: str


class VectorStoreFileContentReply(msgspec.Struct, frozen=True, kw_only=True):
    """All pages, in their order. has_more: nothing is left for a second request."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[FileContent]
    has_more: bool = False
    next_page: None = None


class VectorStoreDeletedReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: bool = True


class VectorStoreFileDeletedReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: bool = True


def store_reply(info: CollectionInfo) -> VectorStoreReply:
    """A collection."""
    counts = FileCounts(completed=info.documents, total=info.documents)
    return VectorStoreReply(id=info.name, name=info.name, file_counts=counts)


def file_reply(info: DocumentInfo) -> VectorStoreFileReply:
    """A document."""
    return VectorStoreFileReply(
        id=info.document,
        created_at=int(info.ingested_at),
        vector_store_id=info.collection,
        attributes={
            "path": info.paths[0],
            "filename": PurePath(info.paths[0]).name,
            "pages": info.pages,
        },
    )
