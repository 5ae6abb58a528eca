"""What a reading process does: one document is open at a time, and requests are answered one after the other."""

import os
import traceback
from pathlib import Path

from ingest.documents.canvas import Canvas
from ingest.documents.formats import open_document
from ingest.documents.opened import OpenedDocument
from ingest.documents.problem import DocumentError, Problem
from ingest.documents.process.heap import trim_heap
from ingest.documents.process.messages import (
    Close,
    Closed,
    DocumentRef,
    Failed,
    Open,
    Opened,
    OutlineRead,
    PageRead,
    ReadOutline,
    ReadPage,
    ReadWords,
    Reply,
    Request,
    WordsRead,
)
from ingest.documents.process.shared_memory import SharedMemory
from ingest.documents.source import FileVersion, check_unchanged, open_source, regular_file


class Answering:
    """Keeps the document of the last request open for the next one."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._ref = DocumentRef(b"")
        self._path = Path()
        self._version = FileVersion(0, 0)
        self._document: OpenedDocument | None = None

    def answer(self, request: Request) -> Reply:
        """Never raises: what goes wrong is an answer, too."""
        number = request.number if isinstance(request, ReadPage | ReadWords) else None
        try:
            return self._answer(request)
        except DocumentError as error:
            return Failed(error.problem)
        except MemoryError:
            return Failed(Problem("out_of_memory", "It takes more memory than there is.", number))
        except Exception as error:  # noqa: BLE001 - the edge of a request
            what = f"An error of mlxq itself ({type(error).__name__}). Its log has more; please report it."
            return Failed(Problem("internal", what, number), traceback.format_exc())

    def _answer(self, request: Request) -> Reply:
        match request:
            case Open():
                count = self._open(request.document).page_count
                return Opened(count, self._version)
            case ReadPage():
                return self._read(request)
            case ReadWords():
                document = self._open(request.document)
                _check_number(document, request.number)
                return WordsRead(document.words(request.number))
            case ReadOutline():
                return OutlineRead(self._open(request.document).outline())
            case Close():
                self._close()
                return Closed()

    def _read(self, request: ReadPage) -> PageRead:
        document = self._open(request.document)
        _check_number(document, request.number)
        with self._memory.part(request.offset, request.offset + request.room) as memory:
            canvas = Canvas(memory)
            try:
                page = document.read(request.number, request.wants, canvas)
            except DocumentError as error:
                problem = error.problem
                raise DocumentError(problem.kind, problem.message, request.number) from error
        check_unchanged(self._path, self._version)
        return PageRead(page, canvas.size)

    def _open(self, ref: DocumentRef) -> OpenedDocument:
        """Raises: DocumentError, of the whole file."""
        path = self._path if ref.path == self._ref.path else Path(os.fsdecode(ref.path))
        version = FileVersion.of(regular_file(path))
        if ref.version not in (None, version):
            check_unchanged(path, ref.version)
        same = (path, ref.passwords, version) == (self._path, self._ref.passwords, self._version)
        if self._document is None or not same:
            self._close()
            source = open_source(path)
            self._document = open_document(source, ref.passwords)
            self._ref, self._path, self._version = ref, path, source.version
        return self._document

    def _close(self) -> None:
        if self._document is not None:
            document, self._document = self._document, None
            document.close()
            del document
            trim_heap()


def _check_number(document: OpenedDocument, number: int) -> None:
    if not 1 <= number <= document.page_count:
        raise DocumentError(
            "missing", f"There is no page {number}; the document has {document.page_count}.", number
        )
