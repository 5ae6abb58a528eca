"""The hub's API over HTTP, as far as a download needs it. Content comes from another origin, as the hub's does."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.hub.repository import HubFile, HubRepository

TOKEN = "hf_of_tests"
PIECE_BYTES = 64 * 1024


class Hub:
    """repositories: by name. The other attributes are how it misbehaves; each is for the files of those paths."""

    def __init__(self) -> None:
        self.repositories: dict[str, HubRepository] = {}
        self.renamed: dict[str, str] = {}
        self.cut_after: dict[str, list[int]] = {}
        """Each next answer ends after so many bytes."""
        self.stall_after: dict[str, list[int]] = {}
        """Each next answer brings so many bytes, and then nothing."""
        self.wrong: Counter[str] = Counter()
        """So many next answers have another body of the right size."""
        self.statuses: dict[str, list[int]] = {}
        """Each next answer is this error. The key may also be "listing"."""
        self.ignores_ranges = False
        self.bytes_per_s: float | None = None
        """Of each connection."""
        self.sent: Counter[str] = Counter()
        """Bytes of content by path."""
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.ended = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ranges(self, path: str) -> list[str]:
        """The ranges in which a file's content was asked for."""
        return [headers.get("range", "") for asked, headers in self.requests if asked == f"/content/{path}"]


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = _Server(("127.0.0.1", 0), Handler)
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    timeout = 30

    def setup(self) -> None:
        """What is sent is not counted before it is nearly there."""
        super().setup()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE_BYTES)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        content_of = urlsplit(self.path).query.removeprefix("of=")
        if path.startswith("/content/"):
            self.hub.requests.append((path, headers))
            name, _, commit = unquote(content_of).rpartition("@")
            self._content(self.hub.repositories[name], path.removeprefix("/content/"), commit)
            return
        self.hub.requests.append((path, headers))
        if path.startswith("/api/models/"):
            self._listing(path.removeprefix("/api/models/"))
        else:
            name, _, rest = path.removeprefix("/").partition("/resolve/")
            self._resolve(name, *rest.split("/", 1))

    def _listing(self, rest: str) -> None:
        name, _, revision = rest.partition("/revision/")
        if self._fails("listing") or self._moved(name, f"/api/models/{{}}{rest[len(name) :]}"):
            return None
        found = self.hub.repositories.get(name)
        if found is None:
            return self._error(404 if self._has_token else 401, "RepoNotFound")
        commit = found.commit_of(unquote(revision) or "main")
        if commit is None:
            return self._error(404, "RevisionNotFound")
        siblings = [_sibling(path, file) for path, file in found.files.items()]
        return self._json({"id": name, "sha": commit, "gated": found.gated, "siblings": siblings})

    def _resolve(self, name: str, commit: str, path: str) -> None:
        if self._moved(name, f"/{{}}/resolve/{commit}/{path}"):
            return None
        found = self.hub.repositories[name]
        if found.gated and not self._has_token:
            return self._error(401, "GatedRepo")
        if path not in found.files:
            return self._error(404, "EntryNotFound")
        if self._fails(path):
            return None
        # By another name of this machine, so that it is another origin.
        return self._redirect(f"http://localhost:{self.hub.port}/content/{path}?of={name}@{commit}", 302)

    def _content(self, repository: HubRepository, path: str, commit: str) -> None:
        assert "authorization" not in self.hub.requests[-1][1], "the token goes to the hub alone"
        assert commit == repository.commit
        file = repository.files[path]
        start, end = 0, file.size_bytes
        asked = self.headers.get("Range")
        if asked and not self.hub.ignores_ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end) + 1, end)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{file.size_bytes}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self._send(file, path, start, end)

    def _send(self, file: HubFile, path: str, start: int, end: int) -> None:
        is_wrong = self.hub.wrong[path] > 0
        if is_wrong:
            self.hub.wrong[path] -= 1
        cut, stall = (_next(each.get(path)) for each in (self.hub.cut_after, self.hub.stall_after))
        stop = min(end, start + min(cut or end, stall or end))
        at = start
        while at < stop:
            piece = file.read(at, min(PIECE_BYTES, stop - at))
            if is_wrong:
                piece = bytes(255 - byte for byte in piece)
            self.wfile.write(piece)
            self.hub.sent[path] += len(piece)
            at += len(piece)
            if self.hub.bytes_per_s:
                time.sleep(len(piece) / self.hub.bytes_per_s)
        if at < end:
            if stall:
                self.hub.ended.wait(20)
            self.close_connection = True
            self.connection.close()

    @property
    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _fails(self, what: str) -> bool:
        status = _next(self.hub.statuses.get(what))
        if status:
            self._error(status, "")
        return bool(status)

    def _moved(self, name: str, to: str) -> bool:
        new = self.hub.renamed.get(name)
        if new:
            query = urlsplit(self.path).query
            self._redirect(to.format(new) + (f"?{query}" if query else ""), 307)
        return bool(new)

    def _redirect(self, to: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _error(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _sibling(path: str, file: HubFile) -> dict[str, Any]:
    found: dict[str, Any] = {"rfilename": path, "size": file.size_bytes, "blobId": file.git}
    if file.lfs:
        found["lfs"] = {"sha256": file.sha256, "size": file.size_bytes, "pointerSize": 135}
    return found


def _next(of: list[int] | None) -> int | None:
    return of.pop(0) if of else None
