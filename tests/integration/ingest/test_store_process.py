"""The process of the embedded store: killed, started again, asked by two, and on damaged files."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from cli.configuration import child_environ
from ingest.qdrant.bulk import BulkPoint, UpsertFailed
from ingest.qdrant.connect import connect
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.qdrant.folder import shards_folder, vector_folder
from jobs.process.parent_watch import ParentPipe
from jobs.process.processor import STORE_NICE
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings
from tests.support.vectors.pages import DENSE, ROW, make_collection, page_id
from tests.support.waiting import wait_until
from workers.supervisor import CONFIGURATION_ERROR


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", qdrant_url=None)


@contextlib.contextmanager
def process(settings: Settings, pipe: ParentPipe | None = None) -> Generator[subprocess.Popen[bytes]]:
    """A running store."""
    held = pipe or ParentPipe()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli.store_process", "--parent-fd", f"{held.read_fd}"],
        env=child_environ(settings), pass_fds=[held.read_fd],
    )  # fmt: skip
    try:
        wait_until(vector_folder(settings).is_served)
        yield child
    finally:
        child.kill()
        child.wait()
        if pipe is None:
            held.close()


def bulk_page(number: int) -> BulkPoint:
    chance = np.random.default_rng(number)
    return BulkPoint(
        page_id(number),
        {
            "original": chance.normal(size=(5, ROW)).astype(np.float16),
            "dense": np.full(DENSE, 0.5, np.float32),
        },
        {"page": number, "document": "d0"},
        {"bm25": ([number], [1.0])},
    )


def test_what_was_acknowledged_is_there_after_a_kill(settings: Settings):
    with process(settings) as child:
        client = connect(settings)
        make_collection(client, pages=0)
        with contextlib.closing(EmbeddedWriter(settings)) as writer:
            writer.upsert("pages", [bulk_page(number) for number in range(40)])
        child.send_signal(signal.SIGKILL)
        child.wait()
    with process(settings):
        client = connect(settings)
        assert client.count("pages").count == 40
        (found,) = client.retrieve("pages", [page_id(39)], with_vectors=True)
        assert isinstance(found.vector, dict)
        assert np.array_equal(np.asarray(found.vector["original"]), bulk_page(39).vectors["original"])
        assert found.vector["dense"] == [0.5] * DENSE
        assert found.payload == {"page": 39, "document": "d0"}
        client.upsert("pages", [])  # and it goes on


def test_packed_points_are_checked_like_others(settings: Settings):
    with process(settings), contextlib.closing(EmbeddedWriter(settings)) as writer:
        make_collection(connect(settings), pages=0)
        bad = bulk_page(0)._replace(vectors={"original": np.full((2, ROW), np.nan, np.float16)})
        with pytest.raises(UpsertFailed, match="NaN"):
            writer.upsert("pages", [bulk_page(1), bad])
        short = bulk_page(0)._replace(vectors={"dense": np.ones(DENSE - 1, np.float32)})
        with pytest.raises(UpsertFailed, match="expected dim: 4, got 3"):
            writer.upsert("pages", [short])
        with pytest.raises(UpsertFailed, match="no point ID"):
            writer.upsert("pages", [bulk_page(0)._replace(id="page-0")])
        assert connect(settings).count("pages").count == 0


def test_storing_a_point_again_changes_nothing(settings: Settings):
    with process(settings), contextlib.closing(EmbeddedWriter(settings)) as writer:
        make_collection(connect(settings), pages=0)
        for _ in range(2):
            writer.upsert("pages", [bulk_page(number) for number in range(20)])
        assert connect(settings).count("pages").count == 20


def test_a_second_store_on_the_folder_gives_up_and_says_who_has_it(
    settings: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from cli.store_process import __main__ as program

    monkeypatch.setattr(program, "ORPHAN_S", 0.2)
    with process(settings) as child, pytest.raises(program.FolderInUse, match=f"kill {child.pid}"):
        program.hold(vector_folder(settings))


def test_it_ends_with_its_parent_and_leaves_no_socket_that_answers(settings: Settings):
    pipe = ParentPipe()
    with process(settings, pipe) as child:
        make_collection(connect(settings), pages=3)
        pipe.close()
        child.wait(30)
    assert not vector_folder(settings).is_served()
    with pytest.raises(StoreUnavailable, match="start `mlxq up`"):
        connect(settings)
    with process(settings):
        assert connect(settings).count("pages").count == 3


def test_damaged_aliases_are_told_before_anything_is_served(settings: Settings):
    damaged = shards_folder(settings) / "aliases.json"
    damaged.parent.mkdir(parents=True)
    vector_folder(settings).path.chmod(0o700)
    damaged.write_bytes(b'{"current": "pag')
    held = ParentPipe()

    ended = subprocess.run(
        [sys.executable, "-P", "-m", "cli.store_process", "--parent-fd", f"{held.read_fd}"],
        env=child_environ(settings), pass_fds=[held.read_fd], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    held.close()

    assert ended.returncode == CONFIGURATION_ERROR
    assert f"{damaged} cannot be read" in ended.stdout + ended.stderr


def test_a_damaged_collection_does_not_stop_the_others(settings: Settings):
    with process(settings):
        make_collection(connect(settings), "good", pages=2)
        make_collection(connect(settings), "bad", pages=2)
    shards = vector_folder(settings).path / "shards"
    (bad,) = shards.glob("bad-*")
    (bad / "shard" / "edge_config.json").write_text("{")
    with process(settings):
        client = connect(settings)
        assert client.count("good").count == 2
        assert [each.name for each in client.get_collections().collections] == ["bad", "good"]
        with pytest.raises(UnexpectedResponse, match="cannot be opened"):
            client.count("bad")
        assert client.delete_collection("bad")
        assert not client.collection_exists("bad")
    assert [each.name[:5] for each in shards.iterdir()] == ["good-"]


def test_what_a_crash_left_half_made_or_half_removed_is_cleared_up(settings: Settings):
    shards = vector_folder(settings).path / "shards"
    with process(settings):
        make_collection(connect(settings), pages=1)
    (shards / "new-12345678" / "shard").mkdir(parents=True)
    os.rename(next(shards.glob("pages-*")), shards / "pages-00000000.removed")
    with process(settings):
        assert connect(settings).get_collections().collections == []
    assert [*shards.iterdir()] == []


def test_a_server_is_used_where_one_is_named(settings: Settings):
    named = settings.model_copy(update={"qdrant_url": "http://127.0.0.1:9"})
    client = connect(named)
    assert isinstance(client, QdrantClient)
    with pytest.raises(Exception, match="refused"):
        client.get_collections()


def test_the_store_leaves_the_processor_to_others(settings: Settings):
    with process(settings) as store:
        assert os.getpriority(os.PRIO_PROCESS, store.pid) >= STORE_NICE
