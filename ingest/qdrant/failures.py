"""What goes wrong with Qdrant, in the terms of jobs/search/errors.py."""

import contextlib
from collections.abc import Generator
from typing import Any

import httpx
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from jobs.search.errors import StoreUnavailable, UnknownCollection

NOT_FOUND = 404
AWAY = (502, 503, 504)
"""Statuses of a proxy whose server is away, and of a server that starts."""


@contextlib.contextmanager
def store_failures(collection: str) -> Generator[None]:
    """Around calls of qdrant-client. collection: the name that users know.

    Raises: StoreUnavailable, UnknownCollection; UnexpectedResponse as it is, for it is a fault of ours.
    """
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code == NOT_FOUND:
            raise UnknownCollection(f"There is no such collection: {collection!r}.") from error
        if error.status_code in AWAY:
            raise StoreUnavailable(f"The vector store does not answer: {told(error)}") from error
        raise
    except (ApiException, QdrantException, httpx.HTTPError) as error:
        raise StoreUnavailable(
            f"The vector store does not answer ({error}). Run `mlxq up`, or set QDRANT_URL to a Qdrant server."
        ) from error


def told(error: UnexpectedResponse) -> str:
    """What the server says is wrong."""
    try:
        said: Any = error.structured()
        return str(said["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return f"{error}".replace("\n", " ")
