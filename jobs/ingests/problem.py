"""What went wrong with a file or a page."""

import msgspec


class IngestProblem(msgspec.Struct, frozen=True):
    """It is tried again by a retry."""

    path: str
    """Empty: the document lies nowhere any more."""
    page: int | None
    """None: the file as a whole."""
    kind: str
    """One word or two: encrypted, too_large."""
    message: str
    """What is wrong, and what to do."""
    is_warning: bool
    """The page is in the collection, but somebody should look at it."""
    at: float
    """In seconds since the epoch."""
