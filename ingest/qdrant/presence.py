"""Which collections there are, asked without qdrant-client, which takes seconds to load."""

import os

import httpx
import msgspec

from ingest.qdrant.folder import vector_folder
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings

API_KEY = "QDRANT_API_KEY"
"""The variable that qdrant-client's users know. It is read here and in connect.py, and nowhere kept."""

TIMEOUT_S = 10


class _Collection(msgspec.Struct):
    name: str


class _Collections(msgspec.Struct):
    collections: list[_Collection]


class _Reply(msgspec.Struct):
    result: _Collections


def stored_collections(settings: Settings) -> set[str]:
    """Their names in Qdrant. Raises: StoreUnavailable, which says what to start."""
    if settings.qdrant_url is None:
        folder = vector_folder(settings)
        transport = httpx.HTTPTransport(uds=str(folder.socket))
        client = httpx.Client(transport=transport, base_url="http://store", timeout=TIMEOUT_S)
        where = f"No vector store runs on {settings.data}: start `mlxq up` with this --data"
    else:
        key = os.environ.get(API_KEY)
        headers = {"api-key": key} if key else {}
        client = httpx.Client(base_url=settings.qdrant_url, timeout=TIMEOUT_S, headers=headers)
        where = "The Qdrant server that QDRANT_URL names does not answer as one: see that it runs"
    with client:
        try:
            reply = client.get("/collections").raise_for_status()
            found = msgspec.json.decode(reply.content, type=_Reply)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise StoreUnavailable(f"{where} ({type(error).__name__}).") from error
    return {each.name for each in found.result.collections}
