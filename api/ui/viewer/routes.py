"""/ui/page/COLLECTION/DOCUMENT/PAGE: the page, and its images."""

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.errors import status_of
from api.ui.context import Context
from api.ui.links import file_url, page_url
from api.ui.routes import PageRoutes
from api.ui.search.results import hit_views
from api.ui.viewer.layers import read_layers
from api.ui.viewer.placeholder import no_image
from api.ui.viewer.state import page_named, page_of, read_state
from api.work.perform import CancelOnDisconnect
from jobs.errors import JobError
from jobs.search.errors import DocumentUnreadable, UnknownDocument

THUMBNAIL_PIXELS = 120_000
PAGE_PIXELS = 1_500_000
LARGE_PIXELS = 6_000_000

PAGE = "/ui/page/{collection}/{document}/{page}"

# A document's id is its content, so a page never changes; what draws it may, with a new version.
_A_DAY = {"Cache-Control": "private, max-age=86400"}


class ViewerPages:
    """Only what was ingested is shown: documents are named by their content's digest, never by a path."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_routes(self, routes: PageRoutes) -> None:
        """To the application."""
        routes.add("/ui/page", self.go_to_page)
        routes.add(PAGE, self.show)
        routes.add(f"{PAGE}/hits", self.hits)
        for name, pixels in (
            ("thumbnail", THUMBNAIL_PIXELS),
            ("image", PAGE_PIXELS),
            ("large", LARGE_PIXELS),
        ):
            routes.add(f"{PAGE}/{name}", _ImageOfPage(self._context, pixels))

    async def show(self, request: Request) -> Response:
        """The page with its layers. Raises UnknownDocument, UnknownCollection, StoreUnavailable."""
        state = read_state(request)
        page = state.page
        document = await self._context.by.collections.document(page.collection, page.document)
        if page.page > document.pages:
            raise UnknownDocument(f"The document has no page {page.page}; its last one is {document.pages}.")
        with CancelOnDisconnect(request):
            layers = await read_layers(self._context.by.collections, state, document)
        images = page_url(page.collection, page.document, page.page)
        return self._context.layout.render(
            "page",
            state=state,
            document=document,
            layers=layers,
            image=f"{images}/{'large' if state.is_sharp else 'image'}",
            large=f"{images}/large",
            file=file_url(page.collection, page.document, page.page),
        )

    async def go_to_page(self, request: Request) -> Response:
        """Leads to the page whose number was typed in: the form cannot put it into the path."""
        state = read_state(request, page_named(request))
        return RedirectResponse(state.url(), 303)

    async def hits(self, request: Request) -> Response:
        """What the search finds in this document: a part of the page, which loads it when it is shown."""
        state = read_state(request)
        address = msgspec.structs.replace(
            state.search, document=state.page.document, collections=(state.page.collection,)
        )
        with CancelOnDisconnect(request):
            reply = await self._context.by.collections.search(address.query(None))
        hits = hit_views(reply, state.search)
        return self._context.layout.render("hits", hits=hits, current=state.page.page)


class _ImageOfPage:
    """The endpoint of one size."""

    def __init__(self, context: Context, pixels: int) -> None:
        self._context = context
        self._pixels = pixels

    async def __call__(self, request: Request) -> Response:
        try:
            with CancelOnDisconnect(request):
                image = await self._context.by.collections.page_image(page_of(request), self._pixels)
        except DocumentUnreadable:  # most often a text, which has nothing to be drawn
            return no_image(200)
        except JobError as error:
            return no_image(status_of(type(error)))
        return Response(image, media_type="image/png", headers=_A_DAY)
