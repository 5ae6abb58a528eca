"""Memory that the C library keeps back for later."""

import ctypes
import sys


def trim_heap() -> None:
    """Give the system back what is free. After a large document glibc keeps as much as that had at most."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):  # musl has none
        trim(0)
