"""A file that is about to be read, and whether it is still the same one afterwards."""

import os
from pathlib import Path
from typing import BinaryIO

import msgspec


class FileVersion(msgspec.Struct, frozen=True):
    """Another one as soon as a file is written to or replaced."""

    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileVersion":
        return cls(status.st_size, status.st_mtime_ns)


class Source:
    """The content of a file, unpacked where the file is a gzip of it."""

    path: Path
    """Only for what its name says, where the content leaves it open (Markdown, CSV)."""
    head: bytes
    """The first bytes of the content, at most HEAD_BYTES."""
    size_bytes: int
    """Of the content."""

    def open(self) -> BinaryIO:
        """The content, from its beginning. Each call gives another file object, to be closed."""
        raise NotImplementedError


HEAD_BYTES = 8192
