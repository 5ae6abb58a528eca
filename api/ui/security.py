"""What keeps other web sites away from the pages: headers, and checks of who asks."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import Request

from api.errors import RequestError

HEADERS: Mapping[str, str] = {
    # Nothing from elsewhere, nothing inline, no eval. Heatmaps are small images inside of the page.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of everything under /ui."""


class ForeignOrigin(RequestError):
    """This was sent by another web site. Open the page of mlxq itself and try there."""

    status = 403
    code = "foreign_origin"


def check_origin(request: Request) -> None:
    """Lets forms of our own pages through, and programs, which send no such headers. Raises ForeignOrigin.

    The way of Go's http.CrossOriginProtection: browsers say whether a request comes from the same site.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise ForeignOrigin
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForeignOrigin
