"""Style sheets, scripts and icons: served from memory, and kept by browsers for as long as they stay the same."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api.errors import RequestError

FOLDER = Path(__file__).parent / "static"
PATH = "/ui/static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOR_EVER = "public, max-age=31536000, immutable"


class UnknownAsset(RequestError):
    """There is no such file."""

    status = 404
    code = "not_found"


class _Asset(NamedTuple):
    content: bytes
    media_type: str
    version: str


class Assets:
    """All files of the folder."""

    def __init__(self) -> None:
        self._assets = {each.name: _read(each) for each in FOLDER.iterdir() if each.suffix in _TYPES}

    def url(self, name: str) -> str:
        """Changes with the content."""
        return f"{PATH}/{name}?v={self._assets[name].version}"

    async def respond(self, request: Request) -> Response:
        """The file. Raises UnknownAsset."""
        found = self._assets.get(request.path_params["name"])
        if found is None:
            raise UnknownAsset
        is_this_one = request.query_params.get("v") == found.version
        return Response(
            found.content,
            media_type=found.media_type,
            headers={"Cache-Control": _FOR_EVER if is_this_one else "no-cache"},
        )


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    return _Asset(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])
