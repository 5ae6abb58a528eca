"""The address of a page in the viewer: which page, what was searched, and what is shown over it."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import Request

from api.ui.links import page_url
from api.ui.search.address import Parameter, SearchAddress, read_address, with_query
from jobs.search.documents import PageRef
from jobs.search.errors import UnknownDocument

ZOOMS = (50, 100, 150, 200, 300, 400)
"""Percent of the width that there is."""
SHARP_FROM = 150
"""From this zoom on a larger image is needed."""

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class ViewerState(NamedTuple):
    """Every state of the viewer is a link."""

    page: PageRef
    search: SearchAddress
    heat: str = ""
    """Number of a word, or "all". Empty: no heatmap."""
    zoom: int = 100

    def url(self, **changes: object) -> str:
        """The viewer's address, changed so. page may be a number."""
        number = changes.pop("page", self.page.page)
        changed, page = self._replace(**changes), self.page
        return with_query(page_url(page.collection, page.document, int(str(number))), changed.kept())

    def kept(self) -> list[Parameter]:
        """What stays as it is on other pages."""
        parameters = self.search.parameters()
        if self.heat:
            parameters.append(Parameter("heat", self.heat))
        if self.zoom != 100:
            parameters.append(Parameter("zoom", str(self.zoom)))
        return parameters

    def hits_url(self) -> str:
        """Of what the search finds in this document."""
        page = self.page
        return with_query(f"{page_url(page.collection, page.document, page.page)}/hits", self.kept())

    @property
    def larger(self) -> int | None:
        """The next zoom, if there is one."""
        return next((each for each in ZOOMS if each > self.zoom), None)

    @property
    def smaller(self) -> int | None:
        """The zoom before, if there is one."""
        return next((each for each in reversed(ZOOMS) if each < self.zoom), None)

    @property
    def is_sharp(self) -> bool:
        """Whether it needs the larger image."""
        return self.zoom >= SHARP_FROM


def read_state(request: Request, page: PageRef | None = None) -> ViewerState:
    """page: else that of the path. Raises UnknownDocument where the page has no number, InvalidInput."""
    query = request.query_params
    zoom = query.get("zoom", "")
    heat = query.get("heat", "")
    return ViewerState(
        page or page_of(request),
        read_address(query),
        heat if heat == "all" or re.fullmatch(r"\d{1,4}", heat) else "",
        int(zoom) if zoom in map(str, ZOOMS) else 100,
    )


def page_of(request: Request) -> PageRef:
    """The page that the path names. Raises UnknownDocument where it has no number."""
    return _page(request.path_params)


def page_named(request: Request) -> PageRef:
    """The page that the query names. Raises UnknownDocument."""
    query = request.query_params  # a search has `document`, too: that is what it is restricted to
    named = {"collection": "collection", "document": "id", "page": "page"}
    return _page({name: query.get(parameter, "") for name, parameter in named.items()})


def _page(asked: Mapping[str, str]) -> PageRef:
    if not _NUMBER.fullmatch(asked["page"]):
        raise UnknownDocument("Pages have numbers, from 1 on.")
    return PageRef(asked["collection"], asked["document"], int(asked["page"]))
