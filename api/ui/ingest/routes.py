"""/ui/ingest: ingests that run and that ran, what went wrong, and beginning one."""

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.requests.body import read_body
from api.ui.context import Context
from api.ui.ingest.views import problems_url, run_view
from api.ui.routes import PageRoutes, error_view
from jobs.errors import InvalidInput, JobError
from jobs.ingests.ingests import NewIngest
from jobs.search.documents import CollectionInfo

RUNS = 20
PROBLEMS = 500
"""Most that one page shows."""
_FORM_BYTES = 64 * 1024


class IngestPages:
    """Nothing may be begun from here but what the server's settings allow."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_routes(self, routes: PageRoutes) -> None:
        """To the application."""
        routes.add("/ui/ingest", self.show)
        routes.add("/ui/ingest", self.begin, "POST")
        routes.add("/ui/ingest/problems", self.problems)
        routes.add("/ui/ingest/retry", self.retry, "POST")

    async def show(self, request: Request) -> Response:
        """Ingests, newest first, and the form for another one."""
        return await self._page(request, NewIngest("", "documents"))

    async def begin(self, request: Request) -> Response:
        """Begins what the form says, and leads to the page that shows it; an error is shown beside the form."""
        form = await self._form(request)
        wanted = NewIngest(
            folder=form.get("folder", "").strip(),
            collection=form.get("collection", "").strip(),
            text="text" in form.getlist("kind"),
            images="images" in form.getlist("kind"),
        )
        try:
            await self._context.by.ingests.begin(wanted)
        except JobError as error:
            return await self._page(request, wanted, error)
        return RedirectResponse("/ui/ingest", 303)

    async def problems(self, request: Request) -> Response:
        """What is left to be done about a collection, by file."""
        collection = request.query_params.get("collection", "")
        found = await self._context.by.ingests.problems(collection)
        return self._context.layout.render(
            "problems",
            collection=collection,
            problems=found[:PROBLEMS],
            total=len(found),
            failed=sum(not each.is_warning for each in found),
        )

    async def retry(self, request: Request) -> Response:
        """Tries all that failed in a collection again. Raises what `begin` raises."""
        form = await self._form(request)
        await self._context.by.ingests.retry(form.get("collection", ""))
        return RedirectResponse("/ui/ingest", 303)

    async def _form(self, request: Request) -> QueryParams:
        """Raises InvalidInput, BodyTooLarge."""
        body = await read_body(request, _FORM_BYTES, self._context.by.bodies)
        try:
            return QueryParams(body.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidInput("The form is not in UTF-8.") from error

    async def _page(self, request: Request, wanted: NewIngest, error: JobError | None = None) -> Response:
        failure = error_view(error, request) if error else None
        runs = [run_view(each) for each in await self._context.by.ingests.runs(RUNS)]
        return self._context.layout.render(
            "ingest",
            failure.status if failure else 200,
            running=[each for each in runs if each.is_running],
            past=[each for each in runs if not each.is_running],
            folders=self._context.by.ingests.folders(),
            collections=await self._collections(),
            wanted=wanted,
            error=failure,
            problems_url=problems_url,
        )

    async def _collections(self) -> tuple[CollectionInfo, ...]:
        """None while the store is away: ingests are shown all the same."""
        try:
            return await self._context.by.collections.list_collections()
        except JobError:
            return ()
