"""/ui/search: the form, what it finds, and images to search with."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.ui.context import Context
from api.ui.media import media_type
from api.ui.routes import PageRoutes, error_view
from api.ui.search.address import MODES, SearchAddress, read_address
from api.ui.search.images import QueryImages
from api.ui.search.results import chips, group_views, title_of
from api.ui.search.uploads import read_upload
from api.work.perform import CancelOnDisconnect
from jobs.errors import InvalidInput, JobError
from jobs.search.documents import CollectionInfo
from jobs.search.query import SearchQuery
from jobs.search.reply import SearchReply

_A_DAY = {"Cache-Control": "private, max-age=86400"}


class SearchPages:
    """The form keeps everything in the page's address. An image is uploaded first, and the address names it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._images = QueryImages(context.by.blobs)

    def add_routes(self, routes: PageRoutes) -> None:
        """To the application."""
        routes.add("/ui/search", self.search)
        routes.add("/ui/search/image", self.upload, "POST")
        routes.add("/ui/search/image", self.show_image)

    async def search(self, request: Request) -> Response:
        """The form, with what it finds. An error of the search is shown beneath the form."""
        collections = await self._context.by.collections.list_collections()
        address, reply, error = SearchAddress(), None, None
        try:
            address = read_address(request.query_params)
            if not address.is_empty:
                query = address.query(await self._images.read(address))
                reply = await self._found(request, query)
        except JobError as failed:
            error = failed
        return await self._page(request, address, collections, reply, error)

    async def upload(self, request: Request) -> Response:
        """Keeps the image, and leads to the search with it. Raises InvalidInput, BodyTooLarge, Overloaded."""
        settings = self._context.by.settings
        upload = await read_upload(request, settings.max_body_bytes, self._context.by.bodies)
        if self._context.by.images is not None:
            await self._context.by.images.check(upload.image, param="file")
        image = await self._images.put(upload.image)
        return RedirectResponse(upload.address.url(image=image), 303)

    async def show_image(self, request: Request) -> Response:
        """The image that an address names."""
        data = await self._images.read(read_address(request.query_params))
        if data is None:
            raise InvalidInput("The address names no image.", param="image")
        return Response(data, media_type=media_type(data), headers=_A_DAY)

    async def _found(self, request: Request, query: SearchQuery) -> SearchReply:
        with CancelOnDisconnect(request):
            return await self._context.by.collections.search(query)

    async def _page(
        self,
        request: Request,
        address: SearchAddress,
        collections: tuple[CollectionInfo, ...],
        reply: SearchReply | None,
        error: JobError | None,
    ) -> Response:
        failure = error_view(error, request) if error else None
        groups = group_views(reply, address) if reply else []
        response = self._context.layout.render(
            "search",
            failure.status if failure else 200,
            address=address,
            modes=MODES,
            collections=collections,
            rerankers=await self._rerankers(),
            groups=groups,
            total=sum(len(each.hits) for each in groups),
            reply=reply,
            chips=chips(address, await self._title(address)),
            error=failure,
        )
        if "hx-request" in request.headers:  # the form sends its empty fields, too
            response.headers["HX-Push-Url"] = address.url()
        return response

    async def _title(self, address: SearchAddress) -> str:
        """Of the document that the search is restricted to."""
        if not address.document:
            return ""
        names = address.collections or tuple(
            each.name for each in await self._context.by.collections.list_collections()
        )
        for name in names:
            try:
                return title_of(await self._context.by.collections.document(name, address.document))
            except JobError:
                continue
        return address.document[:12]

    async def _rerankers(self) -> list[str]:
        """Models that can order hits anew; none while the queue is away."""
        try:
            models = await self._context.by.queue.models()
        except JobError:
            return []
        return sorted(each.id for each in models if "rerank" in each.tasks)
