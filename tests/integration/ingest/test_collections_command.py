"""`mlxq collections`."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from qdrant_client import models

from cli.main import main
from ingest.qdrant.connect import server
from ingest.qdrant.folder import vector_folder
from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from jobs.settings import Settings
from tests.support.vectors.pages import make_collection
from tests.support.vectors.store import client_of, serving
from tests.support.waiting import wait_until


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder of a running store with one collection."""
    monkeypatch.delenv("QDRANT_URL", raising=False)
    folder = vector_folder(Settings(data=tmp_path))
    folder.hold()
    with serving(StoreApp(Catalog(folder.path / "shards")).app, folder.socket):
        client = client_of(folder.socket)
        make_collection(client, pages=3)
        client.close()
        yield tmp_path
    folder.release()


@pytest.fixture
def other_store(tmp_path: Path) -> Iterator[str]:
    """The address of a store that plays the server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = StoreApp(Catalog(tmp_path / "other")).app
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: running.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        running.should_exit = True
        thread.join()


def test_collections_are_listed_shown_and_removed(data: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["collections", "--data", str(data), "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "COLLECTION  POINTS  VECTORS",
        "pages            3  original n x 8, dense 4, bm25 (sparse)",
    ]
    assert main(["collections", "--data", str(data), "show", "pages"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pages: 3 points",
        "  vectors  original n x 8, dense 4, bm25 (sparse)",
        "  indices  document (keyword), page (integer)",
        "  made_by  a test",
    ]
    assert main(["collections", "--data", str(data), "rm", "pages"]) == 0
    assert main(["collections", "--data", str(data), "list"]) == 0
    assert capsys.readouterr().out == "pages is removed.\nThere are no collections yet.\n"


def test_a_collection_is_copied_to_a_server(data: Path, other_store: str, capsys: pytest.CaptureFixture[str]):
    copy = ["collections", "--data", str(data), "copy", "pages", "--to", other_store]
    assert main(copy) == 0
    assert capsys.readouterr().out == f"pages is copied: 3 points are at {other_store}.\n"
    assert server(other_store).get_collection("pages").config.metadata == {"made_by": "a test"}
    assert main(copy) == 1
    assert "has a collection 'pages' already" in capsys.readouterr().err


def test_an_alias_stands_for_its_collection(data: Path, other_store: str, capsys: pytest.CaptureFixture[str]):
    client = client_of(vector_folder(Settings(data=data)).socket)
    named = models.CreateAlias(alias_name="current", collection_name="pages")
    client.update_collection_aliases([models.CreateAliasOperation(create_alias=named)])
    client.close()
    assert main(["collections", "--data", str(data), "list"]) == 0
    assert "also called current" in capsys.readouterr().out
    assert main(["collections", "--data", str(data), "copy", "current", "--to", other_store]) == 0
    assert server(other_store).count("current").count == server(other_store).count("pages").count == 3
    assert main(["collections", "--data", str(data), "rm", "current"]) == 0
    assert main(["collections", "--data", str(data), "list"]) == 0
    assert "There are no collections yet." in capsys.readouterr().out


@pytest.mark.parametrize(
    "action", [["show", "page"], ["rm", "page"], ["copy", "page", "--to", "http://127.0.0.1:9"]]
)
def test_a_name_that_is_not_there_is_refused(
    data: Path, action: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(["collections", "--data", str(data), *action]) == 1
    assert "page" in capsys.readouterr().err


def test_without_a_store_it_says_what_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("QDRANT_URL", raising=False)
    assert main(["collections", "--data", str(tmp_path), "list"]) == 1
    assert "start `mlxq up`" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:9")
    assert main(["collections", "--data", str(tmp_path), "list"]) == 1
    assert "does not answer" in capsys.readouterr().err
