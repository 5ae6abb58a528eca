"""Paths as the manifest keeps them, and as people see them."""

import os
import unicodedata


def shown_path(path: str) -> str:
    """For payloads, replies and messages: composed (macOS may decompose accents), and always valid Unicode.

    It need not open: the manifest's own paths do.
    """
    readable = os.fsencode(path).decode("utf-8", "replace")
    return unicodedata.normalize("NFC", readable)


def stored_path(path: str) -> bytes:
    """As the file system has it, byte for byte: names need not be valid Unicode."""
    return os.fsencode(path)


def opened_path(stored: bytes) -> str:
    """What `stored_path` was made of."""
    return os.fsdecode(stored)
