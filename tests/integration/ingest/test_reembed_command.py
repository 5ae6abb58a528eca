"""`mlxq ingest reembed` beside a running `mlxq up` that serves two models of texts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from cli.main import main
from ingest.collections.generations import Generations, stored_halves
from ingest.manifest.database import Database
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.qdrant.connect import connect
from jobs.settings import Settings
from tests.checkpoints.make import make
from tests.support.documents.pdf import text_pdf
from tests.support.folders import ROOT
from tests.support.stack import READY_S, Program
from tests.support.waiting import wait_until

PATIENCE_S = 300

QUICK, REAL = "quick", "all-MiniLM-L6-v2"
"""Served models: a very small one, and MiniLM."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a running `mlxq up`."""
    folder = tmp_path_factory.mktemp("up")
    quick = make("bert", folder / "bert")
    environ: dict[str, str | None] = {
        "REDIS_URL": None,
        "QDRANT_URL": None,
        "MLXQ_DATA": str(folder / "data"),
        "MLXQ_MODELS": json.dumps([f"{QUICK}={quick}", REAL]),
    }
    up = Program(folder / "up.log", "-m", "cli.main", "up", "--port", "0", **environ)
    up.wait_for("Ready after", READY_S)
    yield folder / "data"
    up.stop()


@pytest.fixture(autouse=True)
def _environ(data: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("REDIS_URL", "QDRANT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLXQ_DATA", str(data))
    monkeypatch.setenv("MLXQ_MODELS", json.dumps([f"{QUICK}={data.parent / 'bert'}", REAL]))


@pytest.fixture
def client(data: Path) -> Iterator[QdrantClient]:
    with closing(connect(Settings(data=data))) as client:
        yield client


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    with closing(Database(manifest_path(Settings(data=data)))) as database:
        yield database


def ingest(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """The exit code, and the summary."""
    capsys.readouterr()
    code = main(["ingest", *map(str, arguments), "--json"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, next((each for each in reversed(events) if each["event"] == "summary"), {})


def folder_of(tmp_path: Path, **documents: list[str]) -> Path:
    """PDFs with a text on each page."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, texts in documents.items():
        (folder / f"{name}.pdf").write_bytes(text_pdf(*texts))
    return folder


def maker(client: QdrantClient, collection: str) -> str:
    """The model whose vectors are searched."""
    stored = stored_halves(client)[collection, "text"]
    return (client.get_collection(stored).config.metadata or {})["model"]


def texts_in(client: QdrantClient, stored: str) -> list[str]:
    points, _ = client.scroll(stored, limit=1000)
    return sorted((point.payload or {})["text"] for point in points)


def collections(client: QdrantClient, collection: str) -> list[str]:
    names = [each.name for each in client.get_collections().collections]
    return [each for each in names if each.startswith(f"{collection}-")]


def test_another_model_is_refused_with_the_command_that_embeds_anew(
    tmp_path: Path, client: QdrantClient, capsys: pytest.CaptureFixture[str]
):
    folder = folder_of(tmp_path, a=["The apple is red.", "The pear is green."])
    ingest(capsys, folder, "-c", "fruit", "--model", QUICK)

    (folder / "b.pdf").write_bytes(text_pdf("The plum is blue."))
    assert main(["ingest", str(folder), "-c", "fruit", "--model", REAL]) == 1
    said = capsys.readouterr().err
    assert "mlxq ingest reembed -c fruit --text" in said
    assert maker(client, "fruit") == QUICK

    assert main(["ingest", "reembed", "-c", "fruit", "--text", "--model", REAL]) == 0
    said = capsys.readouterr().out
    assert "2 documents (3 pages)" in said
    assert "Searches in 'fruit' use these vectors from now on." in said
    assert maker(client, "fruit") == REAL
    expected = ["The apple is red.", "The pear is green.", "The plum is blue."]
    assert texts_in(client, "fruit-text") == expected
    assert len(collections(client, "fruit")) == 1

    code, done = ingest(capsys, folder, "-c", "fruit")
    assert (code, done["tried"], done["unchanged"]) == (0, 0, 2)
    assert main(["search", "apple", "-c", "fruit", "--mode", "text"]) == 0
    assert "The apple is red." in capsys.readouterr().out

    assert main(["ingest", "reembed", "-c", "fruit", "--model", REAL]) == 0
    assert "already" in capsys.readouterr().out


def test_it_goes_on_where_it_was_killed_and_the_old_vectors_are_searched_meanwhile(
    tmp_path: Path, client: QdrantClient, database: Database, capsys: pytest.CaptureFixture[str]
):
    texts = [f"Page {number} of a long document." for number in range(1, 129)]
    folder = folder_of(tmp_path, long=texts)
    ingest(capsys, folder, "-c", "long", "--model", QUICK)
    arguments = ("ingest", "reembed", "-c", "long", "--model", REAL)
    running = subprocess.Popen([sys.executable, "-m", "cli.main", *arguments, "--quiet"], cwd=ROOT)
    manifest = Manifest(database)

    def anew() -> int:
        return sum(each.pages_done for each in manifest.documents("long") if each.kind != "text")

    wait_until(lambda: running.poll() is not None or anew(), PATIENCE_S)
    running.kill()
    running.wait()
    before = anew()

    assert 0 < before < len(texts), "it was not killed in the middle"
    assert maker(client, "long") == QUICK
    assert texts_in(client, stored_halves(client)["long", "text"]) == sorted(texts)
    assert main(["search", "document", "-c", "long", "--mode", "text"]) == 0

    code, done = ingest(capsys, *arguments[1:])
    assert (code, done["left"]) == (0, 0)
    assert maker(client, "long") == REAL
    assert texts_in(client, "long-text") == sorted(texts)
    assert len(collections(client, "long")) == 1
    (document,) = manifest.documents("long")
    assert (document.kind, document.state, document.pages_done) == ("text", "done", len(texts))


def test_where_it_was_killed_after_the_switch_the_next_ingest_knows(
    tmp_path: Path, client: QdrantClient, database: Database, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    folder = folder_of(tmp_path, a=["The sun is hot."])
    ingest(capsys, folder, "-c", "killed", "--model", QUICK)
    switch = Generations.switch

    def switched_and_dead(self: Generations, *given: Any) -> None:
        switch(self, *given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Generations, "switch", switched_and_dead)
        assert main(["ingest", "reembed", "-c", "killed", "--model", REAL]) != 0
    assert maker(client, "killed") == REAL
    assert len(collections(client, "killed")) == 2

    code, done = ingest(capsys, folder, "-c", "killed", "--model", REAL)
    assert (code, done["tried"], done["unchanged"]) == (0, 0, 1)

    assert main(["ingest", "reembed", "-c", "killed", "--model", REAL]) == 0
    assert len(collections(client, "killed")) == 1
    assert {each.kind for each in Manifest(database).documents("killed")} == {"text"}


def test_documents_whose_files_are_gone_keep_the_old_vectors_in_use(
    tmp_path: Path, client: QdrantClient, capsys: pytest.CaptureFixture[str]
):
    folder = folder_of(tmp_path, here=["It is here."], gone=["It is gone."])
    ingest(capsys, folder, "-c", "lacking", "--model", QUICK)
    (folder / "gone.pdf").unlink()

    code, done = ingest(capsys, "reembed", "-c", "lacking", "--model", REAL)
    assert (code, done["lacking"]) == (3, 1)
    assert maker(client, "lacking") == QUICK

    code, done = ingest(capsys, "reembed", "-c", "lacking", "--model", REAL, "--yes", "--keep-old")
    assert (code, done["lacking"]) == (0, 0)
    assert maker(client, "lacking") == REAL
    assert texts_in(client, stored_halves(client)["lacking", "text"]) == ["It is here."]
    assert texts_in(client, "lacking-text") == ["It is gone.", "It is here."]

    assert main(["collections", "rm", "lacking-text"]) == 0  # the vectors that were kept
    code, done = ingest(capsys, folder, "-c", "lacking", "--model", REAL)
    assert (code, done["tried"], done["unchanged"]) == (0, 0, 1)


def test_a_file_that_has_changed_is_embedded_anew_as_it_is_now(
    tmp_path: Path, client: QdrantClient, capsys: pytest.CaptureFixture[str]
):
    folder = folder_of(tmp_path, a=["As it was."])
    ingest(capsys, folder, "-c", "changed", "--model", QUICK)
    (folder / "a.pdf").write_bytes(text_pdf("As it is now."))

    code, done = ingest(capsys, "reembed", "-c", "changed", "--model", REAL)

    assert (code, done["lacking"]) == (0, 0)
    assert maker(client, "changed") == REAL
    assert texts_in(client, "changed-text") == ["As it is now."]


def test_documents_that_only_the_store_knows_keep_the_old_vectors_in_use(
    tmp_path: Path, client: QdrantClient, database: Database, capsys: pytest.CaptureFixture[str]
):
    folder = folder_of(tmp_path, here=["It is here."], other=["Another machine has put it there."])
    ingest(capsys, folder, "-c", "shared", "--model", QUICK)
    for table in ("targets", "paths"):
        database.write(f"DELETE FROM {table} WHERE collection = ?", "shared")
    ingest(capsys, folder / "here.pdf", "-c", "shared", "--model", QUICK)

    code, done = ingest(capsys, "reembed", "-c", "shared", "--model", REAL)

    assert (code, done["lacking"]) == (3, 1)
    assert maker(client, "shared") == QUICK
    assert len(texts_in(client, "shared-text")) == 2


def test_what_has_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments, says in (
        (["reembed", "-c", "nothing"], "no text part"),
        (["reembed", "--watch"], "by itself"),
        (["reembed", "--into", "new"], "name it by -c"),
        ([str(tmp_path), "--into", "papers-text@old"], "must not have an @"),
        ([str(tmp_path), "-c", "papers-text@old"], "must not have an @"),
        ([str(tmp_path), "--keep-old"], "reembed"),
    ):
        assert main(["ingest", *arguments]) == 1
        assert says in capsys.readouterr().err
