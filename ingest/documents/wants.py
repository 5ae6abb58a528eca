"""What is asked of a document."""

import msgspec


class RenderBudget(msgspec.Struct, frozen=True):
    """How large a page's picture is: as large as the limits allow, and as there is something to see."""

    max_pixels: int
    multiple_of: int = 1
    """Pixels by which both sides are divisible, where pages are drawn or made smaller."""
    max_edge: int | None = None
    """Most pixels of the longer side."""


class Wants(msgspec.Struct, frozen=True):
    """What of each page."""

    image: RenderBudget | None = None
    text: bool = False
    passwords: tuple[str, ...] = ()
    """Tried one after the other where a document is encrypted."""
