"""Rows of the manifest, as readers get them."""

from typing import Literal

import msgspec

DocumentState = Literal["open", "done", "failed"]
"""open: begun, and not all of it is in the store. done: all is there that could be made; single pages may have failed.
failed: nothing could be made of it.
"""


NOT_A_DOCUMENT = "unsupported"
"""What a file fails by that is no document at all: in a folder it is left out, and no failure."""


class DocumentRecord(msgspec.Struct, frozen=True):
    """What one kind of a collection has of a document."""

    document: str
    """SHA-256 of the content, in hex."""
    kind: str
    """visual or text."""
    state: DocumentState
    page_count: int | None
    """None: not known yet."""
    pages_done: int
    pages_failed: int
    failure: str
    """The kind of problem that it failed by. Empty: it has not failed."""
    opened_at: float
    """In seconds since the epoch, as all times here."""
    ended_at: float | None


class FileRecord(msgspec.Struct, frozen=True):
    """What is known of a file, whatever collection it is in."""

    size_bytes: int
    mtime_ns: int
    hashed_at_ns: int
    """When its content began to be read, by the wall clock."""
    document: str


class ProblemRecord(msgspec.Struct, frozen=True):
    """Something that went wrong with a file, or with a page of it."""

    path: str
    """As it is shown (see shown_path). Empty: the document lies nowhere any more."""
    document: str
    """Empty: its content could not be read."""
    page: int | None
    kind: str
    message: str
    """What is wrong, and what to do."""
    is_warning: bool
    at: float


class CollectionSummary(msgspec.Struct, frozen=True):
    """How much of a collection there is, for one kind."""

    collection: str
    kind: str
    fingerprint: str
    documents_done: int
    documents_open: int
    documents_failed: int
    not_documents: int
    """Files that are none. They do not count as failed."""
    pages_done: int
    problems: int
    """Of documents and pages; warnings do not count."""
