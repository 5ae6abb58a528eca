"""Memory of two processes, for pictures: they are drawn into it, and leave it by one copy."""

import mmap
import os
import sys
import tempfile


def create_shared_file() -> int:
    """A file without a name, gone with the last process that holds it. It is empty; give it a size by os.ftruncate."""
    if sys.platform == "linux":
        return os.memfd_create("mlxq-pages")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class SharedMemory:
    """A shared file, mapped as far as it is used."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._map: mmap.mmap | bytes = b""

    def grow(self, size_bytes: int) -> None:
        """Give the file at least this size. Only its maker does."""
        if os.fstat(self._handle).st_size < size_bytes:
            os.ftruncate(self._handle, size_bytes)

    def part(self, start: int, end: int) -> memoryview:
        """These bytes. Release it before you ask for a part beyond the size so far."""
        if end > len(self._map):
            self._map = mmap.mmap(self._handle, 0)
        return memoryview(self._map)[start:end]
