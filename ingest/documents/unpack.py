"""Files that are gzipped."""

import gzip
import zlib
from typing import BinaryIO

from ingest.documents.problem import DocumentError

MAX_UNPACKED_BYTES = 256 << 20
"""It is held in memory. A gzip of 256 kB may unpack to it."""

_CHUNK_BYTES = 1 << 20


def is_gzip(head: bytes) -> bool:
    """Whether a file begins like one."""
    return head.startswith(b"\x1f\x8b\x08")


def unpack(file: BinaryIO) -> bytes:
    """The content of a gzip. Raises: DocumentError, OSError."""
    content = bytearray()
    try:
        with gzip.GzipFile(fileobj=file) as unpacking:
            while chunk := unpacking.read(_CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_UNPACKED_BYTES:
                    raise DocumentError(
                        "too_large",
                        f"It unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB. Unpack it yourself if it is meant.",
                    )
    except EOFError as error:
        raise DocumentError("truncated", "The gzip ends too early: fetch it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DocumentError("unreadable", "The gzip is damaged: fetch it again.") from error
    return bytes(content)
