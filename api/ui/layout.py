"""The one layout: templates, navigation, and how values are written in them."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from starlette.responses import HTMLResponse

from api.ui.assets import Assets
from api.ui.formats import age, amount, code, duration, number

FOLDER = Path(__file__).parent / "templates"


class Entry(NamedTuple):
    """A part of the console, in the navigation."""

    title: str
    path: str


NAVIGATION = (Entry("Search", "/ui/search"), Entry("Ingest", "/ui/ingest"))


class Layout:
    """Makes pages of templates. Whatever is put into one is escaped."""

    def __init__(self, assets: Assets) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        values: dict[str, object] = {"asset": assets.url, "navigation": NAVIGATION, "now": time.time}
        filters = {"age": age, "amount": amount, "code": code, "duration": duration, "number": number}
        # Jinja's own types leave open what these dictionaries hold.
        self._environment.globals.update(values)  # pyright: ignore[reportUnknownMemberType]
        self._environment.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]

    def render(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """template: its name without the suffix. values: those that it uses."""
        text = self._environment.get_template(f"{template}.html").render(values)
        return HTMLResponse(text, status, headers={"Cache-Control": "private, no-cache"})
