"""Texts that others wrote, on a terminal: what would command it is shown instead."""

import sys
import unicodedata

_KEPT = "\n\t"


def printable(text: str) -> str:
    """As it is where standard output is no terminal. On one, control characters are written as \\x1b and the like."""
    return "".join(map(_shown, text)) if sys.stdout.isatty() else text


def _shown(letter: str) -> str:
    if letter in _KEPT or unicodedata.category(letter) != "Cc":
        return letter
    return "" if letter == "\r" else f"\\x{ord(letter):02x}"
