"""The console as a whole: all of its pages, added to the application."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.errors import RequestError
from api.hosts import Hosts
from api.ui.assets import PATH as ASSETS_PATH
from api.ui.assets import Assets
from api.ui.context import Collaborators, Context
from api.ui.ingest.routes import IngestPages
from api.ui.layout import NAVIGATION, Layout
from api.ui.routes import PageRoutes
from api.ui.search.routes import SearchPages
from api.ui.viewer.files import DocumentFiles
from api.ui.viewer.routes import ViewerPages


class NoSuchPage(RequestError):
    """There is no such page."""

    status = 404
    code = "not_found"


def add_console(app: FastAPI, collaborators: Collaborators) -> None:
    """All pages lie under /ui."""
    assets = Assets()
    layout = Layout(assets)
    routes = PageRoutes(app, layout, Hosts(collaborators.settings.ui_hosts))
    context = Context(layout, collaborators)
    for pages in (SearchPages, ViewerPages, DocumentFiles, IngestPages):
        pages(context).add_routes(routes)
    routes.add(ASSETS_PATH + "/{name}", assets.respond)
    for path in ("/ui", "/ui/"):
        routes.add(path, _go_to_the_first)
    routes.add("/ui/{path:path}", _not_there)


async def _go_to_the_first(_: Request) -> Response:
    return RedirectResponse(NAVIGATION[0].path, 307)


async def _not_there(_: Request) -> Response:
    raise NoSuchPage
