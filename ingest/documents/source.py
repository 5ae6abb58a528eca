"""A file that is about to be read, and whether it is still the same one afterwards."""

import errno
import os
import stat
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import msgspec

from ingest.documents.problem import DocumentError
from ingest.documents.unpack import is_gzip, unpack

HEAD_BYTES = 8192

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FileVersion(msgspec.Struct, frozen=True):
    """Another one as soon as a file is written to or replaced."""

    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileVersion":
        """What `os.stat` says of a file."""
        return cls(status.st_size, status.st_mtime_ns)


class Source:
    """The content of a file, unpacked where the file is a gzip of it."""

    def __init__(self, path: Path, version: FileVersion, unpacked: bytes | None, head: bytes) -> None:
        self.path = path
        """Only for what its name says where the content leaves it open (Markdown, CSV). It is absolute."""
        self.head = head
        """The first bytes of the content, at most HEAD_BYTES."""
        self.unpacked = unpacked
        """The content of a gzip; None where the file itself is the content."""
        self.version = version
        """Of the file."""

    @property
    def size_bytes(self) -> int:
        """Of the content."""
        return self.version.size_bytes if self.unpacked is None else len(self.unpacked)

    def open(self) -> BinaryIO:
        """The content, from its beginning: another file object with each call, to be closed."""
        return self.path.open("rb") if self.unpacked is None else BytesIO(self.unpacked)


def open_source(path: Path) -> Source:
    """Raises: DocumentError. Nothing but a file is ever opened: a FIFO would wait for its writer."""
    try:
        regular_file(path)
        # O_NONBLOCK: should a FIFO have taken its place meanwhile
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            head = file.read(HEAD_BYTES)
            unpacked = None
            if is_gzip(head):
                file.seek(0)
                unpacked = unpack(file)
    except OSError as error:
        raise cannot_be_read(path, error) from error
    if not head or unpacked == b"":
        raise DocumentError("empty", "It has no content: it was perhaps not written to its end.")
    return Source(path, FileVersion.of(status), unpacked, head if unpacked is None else unpacked[:HEAD_BYTES])


def check_unchanged(path: Path, version: FileVersion) -> None:
    """Raises DocumentError where the file is not what it was."""
    try:
        now = FileVersion.of(path.stat())
    except OSError as error:
        raise DocumentError(
            "changing", "It was removed or replaced while it was read. Ingest again."
        ) from error
    if now != version:
        raise DocumentError(
            "changing", "It was written to while it was read. Ingest again when it is complete."
        )


def regular_file(path: Path) -> os.stat_result:
    """What the file system says of a file; links are followed. Raises: DocumentError."""
    try:
        status = path.stat()
    except OSError as error:
        raise cannot_be_read(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise DocumentError("not_a_file", f"It is {kind}, and only files are read.")
    return status


def cannot_be_read(path: Path, error: OSError) -> DocumentError:
    """What to say of an error of the file system."""
    if error.errno == errno.ELOOP:
        return DocumentError("dangling", "It is a link that leads back to itself. Remove it.")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if path.is_symlink():
            return DocumentError(
                "dangling", "It is a link to a file that is not there. Mend or remove the link."
            )
        return DocumentError("missing", "It is not there any more.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return DocumentError("unreadable", "Permission denied. Give this user the right to read it.")
    return DocumentError("unreadable", f"The file system says: {error.strerror or error}.")
