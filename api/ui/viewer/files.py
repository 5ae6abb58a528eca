"""/ui/file/COLLECTION/DOCUMENT: the document itself, as it was ingested."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from api.ui.context import Context
from api.ui.media import UNKNOWN, media_type
from api.ui.routes import PageRoutes

_TEXTS = (".txt", ".md", ".csv", ".log", ".rst")

# What browsers show of it may run nothing and load nothing. Their PDF readers need more, and are a place apart.
_LOCKED = "sandbox; default-src 'none'; frame-ancestors 'none'"
_LOCKED_PDF = "frame-ancestors 'none'"


class DocumentFiles:
    """Only files that were ingested, and only as long as they are what was ingested."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_routes(self, routes: PageRoutes) -> None:
        """To the application."""
        routes.add("/ui/file/{collection}/{document}", self.send)

    async def send(self, request: Request) -> Response:
        """The file. Browsers show PDFs, images and plain texts, and save all else.

        Raises UnknownDocument, DocumentGone, StoreUnavailable.
        """
        asked = request.path_params
        path = await self._context.by.collections.file(asked["collection"], asked["document"])
        kind = _type_of(path)
        return FileResponse(
            path,
            media_type=kind,
            filename=path.name,
            content_disposition_type="attachment" if kind == UNKNOWN else "inline",
            headers={
                "Content-Security-Policy": _LOCKED_PDF if kind == "application/pdf" else _LOCKED,
                "Cache-Control": "private, no-cache",
            },
        )


def _type_of(path: Path) -> str:
    with path.open("rb") as file:
        kind = media_type(file.read(16))
    if kind == UNKNOWN and path.suffix.lower() in _TEXTS:
        return "text/plain; charset=utf-8"
    return kind
