"""Points in bulk to a Qdrant server: by gRPC, and by JSON where that port is closed.

No Qdrant server can be had here. Stand-ins take what is sent, check it by qdrant-client's own protobuf classes and
Qdrant's API document, and hand it on to the embedded store, which must then hold what it holds when it is written to
directly.
"""

import contextlib
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from qdrant_client import QdrantClient, models

from ingest.qdrant import bulk
from ingest.qdrant.bulk import BulkPoint, BulkWriter, UpsertFailed
from ingest.qdrant.connect import connect
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.qdrant.grpc_writer import GrpcWriter
from ingest.qdrant.json_writer import JsonWriter, bodies
from ingest.qdrant.writers import bulk_writer
from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings
from tests.support.vectors.documents import store_in
from tests.support.vectors.grpc_server import Points, grpc_server
from tests.support.vectors.pages import DENSE, ROW, make_collection, page_id
from tests.support.vectors.qdrant_api import Recorder
from tests.support.vectors.store import opened
from tests.support.waiting import wait_until


def point(number: int, rows: int = 5) -> BulkPoint:
    chance = np.random.default_rng(number)
    return BulkPoint(
        page_id(number),
        {
            "original": chance.normal(size=(rows, ROW)).astype(np.float16),
            "dense": chance.normal(size=DENSE).astype(np.float32),
        },
        {
            "page": number,
            "document": "d0",
            "paths": ["/a.pdf", "/ü.pdf"],
            "share": 0.5,
            "seen": None,
            "ok": True,
        },
        {"bm25": ([number, 70_000], [1.5, 0.25])},
    )


@contextlib.contextmanager
def rest_server(folder: Path) -> Generator[tuple[Recorder, str]]:
    """The embedded store at an address, behind a check by the API document."""
    recorder = Recorder(StoreApp(Catalog(folder)).app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(recorder, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield recorder, f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def directly(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """What the embedded store holds when it is written to directly."""
    with (
        store_in(tmp_path / "direct") as settings,
        contextlib.closing(connect(settings)) as client,
        contextlib.closing(EmbeddedWriter(settings)) as writer,
    ):
        make_collection(client, pages=0)
        writer.upsert("pages", [point(number) for number in range(20)])
        yield held(client)


def held(client: QdrantClient) -> list[dict[str, Any]]:
    records, _ = client.scroll("pages", limit=100, with_vectors=True)
    return sorted((each.model_dump() for each in records), key=lambda each: each["id"])


def assert_same(one: list[dict[str, Any]], other: list[dict[str, Any]], atol: float) -> None:
    assert [each["id"] for each in one] == [each["id"] for each in other]
    for left, right in zip(one, other, strict=True):
        assert left["payload"] == right["payload"]
        assert left["vector"]["bm25"] == right["vector"]["bm25"]
        for name in ("original", "dense"):
            assert np.allclose(left["vector"][name], right["vector"][name], rtol=0, atol=atol)


@pytest.fixture
def by_grpc(tmp_path: Path) -> Iterator[tuple[Points, GrpcWriter, QdrantClient]]:
    with opened(tmp_path / "collections") as store, grpc_server(store) as (points, port):
        make_collection(store, pages=0)
        with contextlib.closing(GrpcWriter("http://127.0.0.1:1", port)) as writer:
            yield points, writer, store


def test_points_arrive_by_grpc_as_they_were(
    by_grpc: tuple[Points, GrpcWriter, QdrantClient], directly: list[dict[str, Any]]
):
    points, writer, store = by_grpc
    writer.upsert("pages", [point(number) for number in range(20)])
    assert points.faults == []
    assert (points.batches, points.waits) == ([16, 4], {True})
    assert_same(held(store), directly, atol=0)


def test_what_the_server_says_by_grpc_is_told(by_grpc: tuple[Points, GrpcWriter, QdrantClient]):
    points, writer, _ = by_grpc
    with pytest.raises(UpsertFailed, match="`letters` doesn't exist"):
        writer.upsert("letters", [point(1)])
    with pytest.raises(UpsertFailed, match="expected dim: 4, got 3"):
        writer.upsert("pages", [point(1)._replace(vectors={"dense": np.ones(3, np.float32)})])
    points.is_away = True
    with pytest.raises(StoreUnavailable, match="starting"):
        writer.upsert("pages", [point(1)])


def test_points_arrive_by_json_nearly_as_they_were(tmp_path: Path, directly: list[dict[str, Any]]):
    with (
        rest_server(tmp_path / "collections") as (recorder, url),
        contextlib.closing(JsonWriter(url)) as writer,
    ):
        client = QdrantClient(url=url, check_compatibility=False)
        make_collection(client, pages=0)
        writer.upsert("pages", [point(number) for number in range(20)])
        assert recorder.faults == []
        assert_same(held(client), directly, atol=2e-6)
        with pytest.raises(UpsertFailed, match="`letters` doesn't exist"):
            writer.upsert("letters", [point(1)])
        client.close()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        JsonWriter(url).upsert("pages", [point(1)])


def test_json_is_cut_by_its_bytes():
    points = [point(number, rows=20 + 200 * (number == 3)) for number in range(10)]
    made = list(bodies(points, max_bytes=8_000))
    sizes = [len(each) for each in made]
    assert len(made) > 3
    assert [size for size in sizes if size > 8_100] == [max(sizes)]  # the one with 220 rows goes alone
    sent = [each for body in made for each in models.PointsList.model_validate_json(body).points]
    assert [f"{each.id}" for each in sent] == [each.id for each in points]


def test_requests_are_cut_by_points_and_by_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "MAX_BYTES", 4 * (DENSE + 3 * ROW) * 4)  # four points of three rows
    points = [point(number, rows=3) for number in range(9)]
    assert [len(each) for each in bulk.batches(points)] == [4, 4, 1]
    assert [len(each) for each in bulk.batches([point(0, rows=500)])] == [1]
    assert list(bulk.batches([])) == []


def test_the_writer_is_chosen_by_what_can_be_reached(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    def chosen(url: str | None, port: int) -> type[BulkWriter]:
        writer = bulk_writer(Settings(data=tmp_path, qdrant_url=url), port)
        writer.close()
        return type(writer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert chosen("http://127.0.0.1:6333", port) is GrpcWriter
    assert chosen("http://127.0.0.1:6333", port) is JsonWriter
    assert "gRPC port cannot be reached" in caplog.text
    assert chosen(None, port) is EmbeddedWriter
