"""What the store does when nobody writes."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import models

from ingest.store.catalog import Catalog
from ingest.store.collection import Collection
from ingest.store.operations import Run, operation
from ingest.store.turns import WRITE, Turns
from ingest.store.upkeep import idle
from ingest.store.upkeep.compaction import Compaction
from ingest.store.upkeep.idle import Upkeep
from tests.support.vectors.store import opened
from tests.support.waiting import wait_until

POINTS, DIMENSION = 400, 8
SPEC = models.CreateCollection(
    vectors={
        "rows": models.VectorParams(
            size=DIMENSION,
            distance=models.Distance.DOT,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        )
    }
)
DELETE = operation("POST", "points/delete", "").run
UPSERT = operation("PUT", "points", "").run


class Store:
    """A catalog with one collection, and its upkeep, as the application has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = Catalog(folder)
        self.turns = Turns()
        self.upkeep = Upkeep(self.catalog, self.turns)

    async def call(self, call: Callable[[], object]) -> object:
        return await self.turns.run(call, WRITE)

    async def write(self, run: Run, body: models.PointIdsList | models.PointsList) -> None:
        def change() -> None:
            encoded = body.model_dump_json().encode()
            run(self.pages, encoded)
            self.upkeep.wrote(self.pages, run, encoded)

        await self.call(change)

    @property
    def pages(self) -> Collection:
        return self.catalog.find("pages")

    async def count(self) -> object:
        return await self.call(lambda: self.pages.count(models.CountRequest()))

    async def dead(self) -> object:
        return await self.call(lambda: (self.pages.flush(), self.pages.dead_points())[1])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "shards")
    await store.call(store.catalog.open)
    await store.call(lambda: store.catalog.create("pages", SPEC))
    await store.write(UPSERT, points(range(POINTS)))
    yield store
    await store.call(store.catalog.close)
    store.turns.end()


def points(numbers: range) -> models.PointsList:
    chance = np.random.default_rng(0)
    return models.PointsList(
        points=[
            models.PointStruct(id=number, vector={"rows": chance.normal(size=(3, DIMENSION)).tolist()})
            for number in numbers
        ]
    )


def gone(numbers: range) -> models.PointIdsList:
    return models.PointIdsList(points=list(numbers))


async def test_the_room_of_dead_points_is_given_back(store: Store):
    await store.write(DELETE, gone(range(150)))
    assert (await store.dead(), await store.count()) == (150, 250)
    await store.upkeep.once()
    assert (await store.dead(), await store.count()) == (0, 250)
    assert (
        [each.name for each in store.pages.folder.glob("shard*")] == [store.pages.shard_name] == ["shard-1"]
    )
    await store.write(DELETE, gone(range(150, 300)))  # and it goes on in the new shard
    assert (await store.dead(), await store.count(), store.pages.next_shard) == (150, 100, "shard-2")


async def test_a_few_dead_points_are_left(store: Store):
    await store.write(DELETE, gone(range(60)))
    await store.upkeep.once()
    assert (await store.dead(), store.pages.shard_name) == (60, "shard")


async def test_what_is_written_while_a_copy_is_compacted_is_in_the_new_shard(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    rewrite = Compaction._rewrite

    async def and_writes(self: Compaction) -> None:
        await rewrite(self)
        await store.write(UPSERT, points(range(1000, 1010)))
        await store.write(DELETE, gone(range(390, 400)))

    monkeypatch.setattr(Compaction, "_rewrite", and_writes)
    await store.write(DELETE, gone(range(200)))
    await store.upkeep.once()
    assert store.pages.shard_name == "shard-1"
    found = await store.call(lambda: store.pages.retrieve(models.PointRequest(ids=[1005, 395, 300])))
    assert sorted(each.id for each in found) == [300, 1005]  # pyright: ignore
    assert await store.count() == 200


async def test_a_write_while_files_are_copied_puts_the_compaction_off(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    rewrite = Compaction._rewrite

    async def writes_first(self: Compaction) -> None:
        await store.write(DELETE, gone(range(200, 210)))
        await rewrite(self)

    await store.write(DELETE, gone(range(200)))
    with monkeypatch.context() as patched:
        patched.setattr(Compaction, "_rewrite", writes_first)
        await store.upkeep.once()
    assert store.pages.shard_name == "shard"
    assert [each.name for each in store.pages.folder.glob("shard*")] == ["shard"]
    assert await store.count() == 190


async def test_a_collection_that_is_removed_meanwhile_stays_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    rewrite = Compaction._rewrite

    async def and_removes(self: Compaction) -> None:
        await rewrite(self)
        await store.call(lambda: store.catalog.remove("pages"))

    monkeypatch.setattr(Compaction, "_rewrite", and_removes)
    await store.write(DELETE, gone(range(200)))
    await store.upkeep.once()
    assert store.catalog.names() == []


async def test_a_shard_that_a_crash_left_is_cleared_up(store: Store):
    await store.call(store.catalog.close)
    left = next(store.folder.glob("pages-*")) / "shard-1"
    left.mkdir()
    await store.call(store.catalog.open)
    assert not left.exists()
    assert await store.count() == POINTS


def test_the_store_compacts_by_itself_when_nobody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(idle, "IDLE_S", 0.05)
    with opened(tmp_path / "shards") as client:
        client.create_collection("pages", vectors_config=SPEC.vectors)  # pyright: ignore
        client.upsert("pages", points(range(POINTS)).points)
        client.delete("pages", gone(range(300)))
        wait_until(lambda: bool([*(tmp_path / "shards").glob("pages-*/shard-1/segments/*")]))
        wait_until(lambda: not [*(tmp_path / "shards").glob("pages-*/shard")])
        assert client.count("pages").count == 100
        assert client.query_points("pages", query=[[1.0] * DIMENSION], using="rows", limit=5).points
