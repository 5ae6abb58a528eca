"""Which format a file has, by its content, and what opens it."""

from collections.abc import Callable
from typing import NamedTuple

from ingest.documents.opened import OpenedDocument
from ingest.documents.source import Source


class Format(NamedTuple):
    """A format of documents."""

    name: str
    matches: Callable[[Source], bool]
    """Called in the order of the table; cheap, and no error whatever the content is."""
    open: Callable[[Source, tuple[str, ...]], OpenedDocument]
    """From the content and passwords. Raises DocumentError."""


FORMATS: tuple[Format, ...] = ()
"""Those that are surely told apart come first, plain text last."""
