"""What can go wrong with a search, besides what can go wrong with a job."""

from jobs.errors import InvalidInput, JobError


class UnknownCollection(InvalidInput):
    """There is no such collection. `mlxq collections list` shows those that there are."""

    code = "collection_not_found"


class UnknownDocument(InvalidInput):
    """The collection has no such document, or the document no such page."""

    code = "document_not_found"


class CollectionBusy(JobError):
    """An ingest writes into the collection. Wait for its end, or stop it."""

    code = "collection_busy"


class DocumentGone(JobError):
    """The document's file has moved, or its content is another one now. Run `mlxq ingest` on its folder again."""

    code = "document_gone"


class StoreUnavailable(JobError):
    """The vector store cannot be reached. Run `mlxq up`, or set QDRANT_URL to a Qdrant server."""

    code = "store_unavailable"


class DocumentUnreadable(JobError):
    """The page cannot be read or drawn."""

    code = "document_unreadable"
