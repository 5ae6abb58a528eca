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


class _Alias(msgspec.Struct):
    alias_name: str
    collection_name: str


class _Aliases(msgspec.Struct):
    aliases: list[_Alias]


class _Collected(msgspec.Struct):
    result: _Collections


class _Named(msgspec.Struct):
    result: _Aliases


def stored_collections(settings: Settings) -> dict[str, str]:
    """Their names in Qdrant, by these and by their aliases. Raises: StoreUnavailable, which says what to start."""
    url = settings.qdrant_url
    try:
        collections = msgspec.json.decode(_asked(settings, "/collections"), type=_Collected).result
        aliases = msgspec.json.decode(_asked(settings, "/aliases"), type=_Named).result
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError) as error:
        if url is None:
            raise no_store(settings) from error
        what = "The Qdrant server that QDRANT_URL names does not answer as one: see that it runs"
        raise StoreUnavailable(f"{what} ({type(error).__name__}).") from error
    return {
        **{each.name: each.name for each in collections.collections},
        **{each.alias_name: each.collection_name for each in aliases.aliases},
    }


def no_store(settings: Settings) -> StoreUnavailable:
    """The error where the embedded store does not run. It says what to start."""
    data = settings.data
    if data == Settings.model_fields["data"].default:
        return StoreUnavailable("No vector store runs here: start `mlxq up` in another terminal.")
    return StoreUnavailable(f"No vector store runs on {data}: start `mlxq up` with this --data.")


def _asked(settings: Settings, path: str) -> bytes:
    if settings.qdrant_url is None:
        return _of_embedded(vector_folder(settings).socket, path)
    return _of_server(settings.qdrant_url, path)


def _of_embedded(socket_path: Path, path: str) -> bytes:
    connection = http.client.HTTPConnection("store", timeout=TIMEOUT_S)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(TIMEOUT_S)
        channel.connect(str(socket_path))
        connection.sock = channel
        connection.request("GET", path)
        return connection.getresponse().read()


def _of_server(url: str, path: str) -> bytes:
    """Its address may hold a user and a password, which no error may quote."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(f"{parts.scheme}://{host}{parts.path.rstrip('/')}{path}")
    if key := os.environ.get(API_KEY):
        request.add_header("api-key", key)
    if user:
        request.add_header("Authorization", f"Basic {base64.b64encode(unquote(user).encode()).decode()}")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
        return reply.read()
