"""What a reading process is told and what it answers, in the same order: msgpack, each message behind its length."""

import struct

import msgspec

from ingest.documents.page import Bookmark, Page, Word
from ingest.documents.problem import Problem
from ingest.documents.source import FileVersion
from ingest.documents.wants import Wants

LENGTH = struct.Struct("<I")
"""Before each message."""

READY = b"ready"
"""The process's first bytes, when it has loaded what it needs."""

OUT_OF_MEMORY_EXIT = 12
"""Exit code of a process that has taken more memory than it may."""


class DocumentRef(msgspec.Struct, frozen=True):
    """Which file, opened how."""

    path: bytes
    """Absolute, as the file system has it: not all names are Unicode."""
    passwords: tuple[str, ...] = ()
    version: FileVersion | None = None
    """What the file must still be."""


class Open(msgspec.Struct, frozen=True, tag=True):
    """Answered by Opened."""

    document: DocumentRef


class ReadPage(msgspec.Struct, frozen=True, tag=True):
    """Answered by PageRead. The picture lies at `offset` of the shared memory, then."""

    document: DocumentRef
    number: int
    wants: Wants
    offset: int = 0
    room: int = 0
    """Bytes there are at `offset`."""


class ReadWords(msgspec.Struct, frozen=True, tag=True):
    """Answered by WordsRead."""

    document: DocumentRef
    number: int


class ReadOutline(msgspec.Struct, frozen=True, tag=True):
    """Answered by OutlineRead."""

    document: DocumentRef


class Close(msgspec.Struct, frozen=True, tag=True):
    """Let go of what is open. Answered by Closed."""


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The document is open."""

    page_count: int
    version: FileVersion


class PageRead(msgspec.Struct, frozen=True, tag=True):
    """A page; width and height of its picture, if it has one."""

    page: Page
    size: tuple[int, int] | None


class WordsRead(msgspec.Struct, frozen=True, tag=True):
    words: list[Word]


class OutlineRead(msgspec.Struct, frozen=True, tag=True):
    bookmarks: list[Bookmark]


class Closed(msgspec.Struct, frozen=True, tag=True):
    """Nothing is open."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Instead of any other answer."""

    problem: Problem
    traceback: str = ""
    """Of an error of our own."""


Request = Open | ReadPage | ReadWords | ReadOutline | Close
Reply = Opened | PageRead | WordsRead | OutlineRead | Closed | Failed
