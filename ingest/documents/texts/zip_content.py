"""ZIP archives that are documents: read with bounds on everything that the archive itself says of its sizes."""

import zipfile
import zlib
from types import TracebackType
from xml.etree import ElementTree

from ingest.documents.problem import DocumentError
from ingest.documents.source import Source

MAX_ENTRIES = 20_000
MAX_PART_BYTES = 32 << 20
"""Unpacked. Parsed, it takes some times as much memory."""
MAX_TOTAL_BYTES = 256 << 20

_DAMAGED = "It is a damaged archive: fetch it again, or save it anew."


def is_zip(source: Source) -> bool:
    """Whether it begins as an archive does."""
    return source.head.startswith(b"PK\x03\x04")


class ZipContent:
    """To be closed. All methods raise DocumentError."""

    def __init__(self, source: Source) -> None:
        self._file = source.open()
        self._read_bytes = 0
        try:
            self._zip = zipfile.ZipFile(self._file)
            self.names = frozenset(self._zip.namelist()[:MAX_ENTRIES])
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            self._file.close()
            raise DocumentError("unreadable", _DAMAGED) from error

    def __enter__(self) -> "ZipContent":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def read(self, name: str) -> bytes:
        """A part of the document, unpacked."""
        try:
            info = self._zip.getinfo(name)
            if info.flag_bits & 1:
                raise DocumentError("encrypted", "Its content is encrypted. Save it without a password.")
            limit = min(MAX_PART_BYTES, MAX_TOTAL_BYTES - self._read_bytes)
            with self._zip.open(info) as part:
                content = part.read(limit + 1) if info.file_size <= limit else None
        except KeyError as error:
            raise DocumentError("unreadable", f"It lacks its part {name!r}. Save it anew.") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise DocumentError("unreadable", _DAMAGED) from error
        if content is None or len(content) > limit:
            raise DocumentError(
                "too_large",
                f"A part of it unpacks to more than {MAX_PART_BYTES >> 20} MiB, or all of it to more than "
                f"{MAX_TOTAL_BYTES >> 20} MiB. Part the document.",
            )
        self._read_bytes += len(content)
        return content

    def xml(self, name: str) -> ElementTree.Element:
        """A part of the document that is XML."""
        return parse_xml(self.read(name))


class _NoDoctype(ElementTree.TreeBuilder):
    """Office documents have no document type, and one can declare entities that grow without bound."""

    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise DocumentError(
            "unsupported", "Its XML declares a document type, which is not read. Save it anew."
        )


def parse_xml(content: bytes) -> ElementTree.Element:
    """Raises: DocumentError."""
    parser = ElementTree.XMLParser(target=_NoDoctype())
    try:
        parser.feed(content)
        return parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DocumentError("unreadable", "Its XML is damaged. Save it anew.") from error
