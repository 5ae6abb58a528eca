"""What keeps a file or one of its pages from being read, or makes it suspect."""

from typing import Literal

import msgspec

ProblemKind = Literal[
    "changing",  # written while it was read
    "crashed",  # its reader died
    "dangling",  # a link to nothing, or in a circle
    "empty",
    "encrypted",
    "guessed_encoding",  # a text that does not say in which encoding it is
    "internal",  # an error of our own
    "missing",
    "no_ink",  # has text, and its picture is blank
    "no_text",
    "not_a_file",
    "not_embedded",  # the model refuses it, or makes no vectors of it that can be stored
    "out_of_memory",
    "timeout",
    "too_large",
    "truncated",
    "unprintable_text",
    "unreadable",
    "unsupported",
]


class Problem(msgspec.Struct, frozen=True):
    """A file or a page that cannot be read; as a warning, one that was read and is suspect."""

    kind: ProblemKind
    message: str
    """A sentence or two: what is wrong and what to do. It neither names the file nor quotes it."""
    page: int | None = None
    """None where it is the whole file's."""


class DocumentError(Exception):
    """Raised by what reads documents."""

    def __init__(self, kind: ProblemKind, message: str, page: int | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(kind, message, page)
