from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.console.drawn_collections import DrawnCollections
from tests.support.console.examples import example_documents
from tests.support.console.memory_ingests import MemoryIngests
from tests.support.console.server import console_app


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    """What is sent for every example document."""
    path = tmp_path / "sent.pdf"
    path.write_bytes(b"%PDF-1.7 and so on")
    return path


@pytest.fixture
def collections(pdf: Path) -> DrawnCollections:
    return DrawnCollections(example_documents(pdf))


@pytest.fixture
def ingests() -> MemoryIngests:
    return MemoryIngests(("/home/ada/Documents",))


@pytest.fixture
async def console(
    collections: DrawnCollections, ingests: MemoryIngests, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A client, at an address of this machine."""
    transport = httpx.ASGITransport(console_app(collections, ingests, tmp_path, max_body_bytes=100_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client
