"""A client that is killed while it sends its body."""

from pathlib import Path
from typing import Any

import pytest

from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog


@pytest.mark.parametrize("path", ["/collections/pages", "/collections/pages/points"])
async def test_a_client_that_is_gone_is_no_error(tmp_path: Path, path: str):
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "PUT", "path": path, "headers": [], "query_string": b""}
    await StoreApp(Catalog(tmp_path)).app(scope, receive, send)
    assert sent[0]["status"] == 499
