"""`mlxq collections snapshot` and `restore`."""

from pathlib import Path

import numpy as np
import pytest
from qdrant_client import models

from cli.main import main
from ingest.qdrant.connect import connect
from ingest.qdrant.folder import shards_folder, vector_folder
from jobs.settings import Settings
from tests.support.vectors.documents import store_in
from tests.support.vectors.pages import ROW, make_collection


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QDRANT_URL", raising=False)


def best(settings: Settings, collection: str = "pages") -> list[str]:
    client = connect(settings)
    query = np.ones((2, ROW)).tolist()
    found = client.query_points(collection, query=query, using="original", limit=3).points
    client.close()
    return [f"{each.id}" for each in found]


def with_pages(data: Path) -> list[str]:
    with store_in(data) as settings:
        client = connect(settings)
        make_collection(client, pages=8)
        client.close()
        return best(settings)


def run(data: Path, *arguments: str) -> int:
    return main(["collections", "--data", str(data), *arguments])


def test_a_collection_is_saved_and_comes_back_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found = with_pages(tmp_path / "one")
    saved = str(tmp_path / "saved")
    assert run(tmp_path / "one", "snapshot", "pages", "--to", saved) == 0
    assert run(tmp_path / "two", "restore", saved) == 0
    assert capsys.readouterr().out == f"pages is copied to {saved}.\npages is restored.\n"
    with store_in(tmp_path / "two") as settings:
        assert best(settings) == found
    assert run(tmp_path / "two", "restore", saved) == 1
    assert "'pages' already" in capsys.readouterr().err


def test_a_snapshot_by_an_alias_comes_back_under_that_name(tmp_path: Path):
    found = with_pages(tmp_path / "one")
    with store_in(tmp_path / "one") as settings:
        client = connect(settings)
        named = models.CreateAlias(alias_name="current", collection_name="pages")
        client.update_collection_aliases([models.CreateAliasOperation(create_alias=named)])
        client.close()
    assert run(tmp_path / "one", "snapshot", "current", "--to", str(tmp_path / "saved")) == 0
    assert run(tmp_path / "two", "restore", str(tmp_path / "saved")) == 0
    with store_in(tmp_path / "two") as settings:
        assert best(settings, "current") == found


def test_a_snapshot_does_not_come_back_under_an_alias_of_another_collection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with_pages(tmp_path / "one")
    saved = str(tmp_path / "saved")
    assert run(tmp_path / "one", "snapshot", "pages", "--to", saved) == 0
    with store_in(tmp_path / "two") as settings:
        client = connect(settings)
        make_collection(client, "pages@anew", pages=2)
        named = models.CreateAlias(alias_name="pages", collection_name="pages@anew")
        client.update_collection_aliases([models.CreateAliasOperation(create_alias=named)])
        client.close()

    assert run(tmp_path / "two", "restore", saved) == 1
    assert "'pages' already" in capsys.readouterr().err


def test_what_cannot_be_saved_or_restored_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with_pages(tmp_path)
    there = tmp_path / "there"
    there.mkdir()
    for arguments, says in (
        (["snapshot", "page", "--to", str(tmp_path / "saved")], "no collection 'page'"),
        (["snapshot", "pages", "--to", str(there)], "is there already"),
        (["restore", str(there)], "is no snapshot"),
    ):
        assert run(tmp_path, *arguments) == 1
        assert says in capsys.readouterr().err


def test_damaged_aliases_are_told_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with_pages(tmp_path)
    damaged = shards_folder(Settings(data=tmp_path)) / "aliases.json"
    damaged.write_bytes(b'{"current": "pag')

    assert run(tmp_path, "snapshot", "pages", "--to", str(tmp_path / "saved")) == 1

    said = capsys.readouterr().err
    assert f"{damaged} cannot be read" in said and "remove it" in said


def test_files_that_a_store_has_open_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = vector_folder(Settings(data=tmp_path))
    folder.hold()
    assert run(tmp_path, "snapshot", "pages", "--to", str(tmp_path / "saved")) == 1
    assert "while `mlxq up` does not run" in capsys.readouterr().err
    folder.release()
