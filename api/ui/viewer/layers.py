"""What lies over a page, and beside it: words of the query, heatmaps, its text."""

from collections.abc import Awaitable
from typing import NamedTuple, TypeVar

from api.ui.viewer.heat import HeatWord, heat_words
from api.ui.viewer.state import ViewerState
from jobs.errors import JobError
from jobs.search.collections import Collections
from jobs.search.documents import DocumentInfo, PageText, PageWord
from jobs.search.errors import StoreUnavailable, UnknownCollection, UnknownDocument

T = TypeVar("T")

_FATAL = (UnknownCollection, UnknownDocument, StoreUnavailable)
"""Errors that leave nothing to be shown."""


class Layers(NamedTuple):
    """Of one page."""

    text: str
    """Of the page, to be read and copied. Empty: it has none."""
    has_image: bool
    words: tuple[PageWord, ...]
    """Those of the query, with their places."""
    heat: list[HeatWord]
    shown: HeatWord | None
    """The heatmap that the address chooses."""
    notes: tuple[str, ...]
    """What is not there, and what to do."""


async def read_layers(collections: Collections, state: ViewerState, document: DocumentInfo) -> Layers:
    """What cannot be had is a note. Raises UnknownCollection, UnknownDocument, StoreUnavailable."""
    notes = list[str]()

    async def had(wanted: Awaitable[T], otherwise: T) -> T:
        try:
            return await wanted
        except _FATAL:
            raise
        except JobError as error:
            if error.message not in notes:
                notes.append(error.message)
            return otherwise

    page, query = state.page, state.search.text
    text = await had(collections.page_text(page), PageText("", has_image=False))
    words = tuple[PageWord, ...]()
    heat = list[HeatWord]()
    if query and text.has_image:
        words = await had(collections.page_words(page, query), ())
        if "visual" in document.kinds:
            found = await had(collections.heatmap(page, query), None)
            heat = heat_words(found) if found else []
    return Layers(
        text=text.text,
        has_image=text.has_image,
        words=tuple(each for each in words if each.matches),
        heat=heat,
        shown=next((each for each in heat if each.key == state.heat), None),
        notes=tuple(notes),
    )
