"""What keeps other web sites away from the pages: headers, and checks of who asks."""

import ipaddress
import socket
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


class UnknownHost(RequestError):
    """The pages are not shown under this name. Use the address, or name the host in MLXQ_UI_HOSTS."""

    status = 403
    code = "unknown_host"


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


class Hosts:
    """The names that the pages are shown under: addresses, this machine's own names, and those that are allowed.

    A page of a foreign name could else be pointed at our address (DNS rebinding), and read documents.
    """

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}
        self._names |= {each.lower() for each in allowed}

    def check(self, request: Request) -> None:
        """Raises UnknownHost."""
        name = (request.url.hostname or "").lower().rstrip(".")
        if name not in self._names and not name.endswith(".localhost") and not _is_address(name):
            raise UnknownHost


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
