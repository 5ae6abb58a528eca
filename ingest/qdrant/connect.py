"""A client of Qdrant: of the server that QDRANT_URL names, else of the embedded store that `mlxq up` runs."""

import os

import httpx
from qdrant_client import AsyncQdrantClient, QdrantClient

from ingest.qdrant.folder import vector_folder
from ingest.qdrant.presence import API_KEY, no_store
from jobs.settings import Settings

TIMEOUT_S = 60
"""A search through all vectors of a large collection, on a busy machine."""

LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=3)
"""The store closes a connection that was idle for five seconds: we leave it before."""

_EMBEDDED = "http://localhost:1"
"""Never looked up: requests go through the socket."""


def connect(settings: Settings) -> QdrantClient:
    """Raises: StoreUnavailable where the embedded store does not run. A server is not asked yet."""
    if settings.qdrant_url is not None:
        return server(settings.qdrant_url)
    check_store(settings)
    transport = httpx.HTTPTransport(uds=str(vector_folder(settings).socket), limits=LIMITS)
    # Its check of versions opens a connection of its own, which knows nothing of the socket.
    return QdrantClient(url=_EMBEDDED, transport=transport, check_compatibility=False, timeout=TIMEOUT_S)


def check_store(settings: Settings) -> None:
    """Raises: StoreUnavailable where the embedded store is wanted, and does not run."""
    if settings.qdrant_url is None and not vector_folder(settings).is_served():
        raise no_store(settings)


def connect_async(settings: Settings) -> AsyncQdrantClient:
    """For a process that answers many searches. Nothing is asked yet: the store may come and go meanwhile."""
    if settings.qdrant_url is not None:
        key = os.environ.get(API_KEY)
        return AsyncQdrantClient(
            url=settings.qdrant_url, api_key=key, timeout=TIMEOUT_S, limits=LIMITS, check_compatibility=False
        )
    transport = httpx.AsyncHTTPTransport(uds=str(vector_folder(settings).socket), limits=LIMITS)
    return AsyncQdrantClient(url=_EMBEDDED, transport=transport, check_compatibility=False, timeout=TIMEOUT_S)


def server(url: str) -> QdrantClient:
    """A client of the server at that address."""
    return QdrantClient(
        url=url, api_key=os.environ.get(API_KEY), timeout=TIMEOUT_S, check_compatibility=False
    )
