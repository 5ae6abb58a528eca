"""Ends this process when it takes too much memory: PDFium and image decoders take what a file makes them."""

import os
import resource
import sys
import threading
import time
from pathlib import Path

from ingest.documents.process.messages import OUT_OF_MEMORY_EXIT

CHECK_S = 0.02
"""A core fills some 50 MB of fresh memory in this time."""

_PAGE_BYTES = resource.getpagesize()


def resident_bytes() -> int:
    """Memory that this process has. Elsewhere than on Linux, the most that it ever had."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class MemoryWatch:
    """A thread that looks while there is work. It runs beside the libraries: they let go of Python's lock."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._working = threading.Event()
        threading.Thread(target=self._watch, name="memory-watch", daemon=True).start()

    def __enter__(self) -> None:
        self._working.set()

    def __exit__(self, *_: object) -> None:
        self._working.clear()

    def _watch(self) -> None:
        while self._working.wait():
            if resident_bytes() > self._limit_bytes:
                os._exit(OUT_OF_MEMORY_EXIT)
            time.sleep(CHECK_S)
