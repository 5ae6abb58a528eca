"""Which collections there are, asked without qdrant-client and httpx, which take a second to load."""

import base64
import http.client
import os
import socket
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from ingest.qdrant.folder import vector_folder
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings

API_KEY = "QDRANT_API_KEY"
"""The variable that qdrant-client's users know. It is read here and in connect.py, and nowhere kept."""

TIMEOUT_S = 30


class _Collection(msgspec.Struct):
    name: str


class _Collections(msgspec.Struct):
    collections: list[_Collection]


class _Reply(msgspec.Struct):
    result: _Collections


def stored_collections(settings: Settings) -> set[str]:
    """Their names in Qdrant. Raises: StoreUnavailable, which says what to start."""
    url = settings.qdrant_url
    try:
        raw = _of_embedded(vector_folder(settings).socket) if url is None else _of_server(url)
        found = msgspec.json.decode(raw, type=_Reply)
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError) as error:
        if url is None:
            what = f"No vector store runs on {settings.data}: start `mlxq up` with this --data"
        else:
            what = "The Qdrant server that QDRANT_URL names does not answer as one: see that it runs"
        raise StoreUnavailable(f"{what} ({type(error).__name__}).") from error
    return {each.name for each in found.result.collections}


def _of_embedded(path: Path) -> bytes:
    connection = http.client.HTTPConnection("store", timeout=TIMEOUT_S)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(TIMEOUT_S)
        channel.connect(str(path))
        connection.sock = channel
        connection.request("GET", "/collections")
        return connection.getresponse().read()


def _of_server(url: str) -> bytes:
    """Its address may hold a user and a password, which no error may quote."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(f"{parts.scheme}://{host}{parts.path.rstrip('/')}/collections")
    if key := os.environ.get(API_KEY):
        request.add_header("api-key", key)
    if user:
        request.add_header("Authorization", f"Basic {base64.b64encode(unquote(user).encode()).decode()}")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
        return reply.read()
