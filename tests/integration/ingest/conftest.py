"""A store with a collection of small pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from tests.support.vectors.pages import make_collection
from tests.support.vectors.store import opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[QdrantClient]:
    """Empty."""
    with opened(tmp_path / "collections") as client:
        yield client


@pytest.fixture
def pages(store: QdrantClient) -> QdrantClient:
    """With the collection `pages`: 20 of them, 4 to a document."""
    make_collection(store)
    return store
