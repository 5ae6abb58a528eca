"""`mlxq ingest` beside a running `mlxq up`, as a user runs it, with the real MiniLM."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from cli.main import main
from ingest.manifest.database import Database
from ingest.manifest.lock import hold_collection
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.manifest.runs import RunRecords
from ingest.qdrant.connect import connect
from jobs.settings import Settings
from tests.support.documents.pdf import text_pdf
from tests.support.folders import ROOT
from tests.support.stack import READY_S, Program
from tests.support.waiting import wait_until

PATIENCE_S = 300
"""An embedding takes a hundred times as long where ten programs share a core."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a running `mlxq up`."""
    folder = tmp_path_factory.mktemp("up")
    environ: dict[str, str | None] = {
        "REDIS_URL": None,
        "QDRANT_URL": None,
        "MLXQ_DATA": str(folder / "data"),
    }
    up = Program(folder / "up.log", "-m", "cli.main", "up", "--port", "0", **environ)
    up.wait_for("Ready after", READY_S)
    (folder / "url").write_text(up.wait_for(r"starts on (http://\S+)")[1])
    yield folder / "data"
    up.stop()


@pytest.fixture
def url(data: Path) -> str:
    return (data.parent / "url").read_text()


@pytest.fixture(autouse=True)
def _environ(data: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("REDIS_URL", "QDRANT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLXQ_DATA", str(data))


def command(*arguments: str | Path) -> tuple[str, ...]:
    return ("ingest", *map(str, arguments))


def ingest(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """The exit code, and the summary."""
    capsys.readouterr()
    code = main(command(*arguments, "--json"))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, next((each for each in reversed(events) if each["event"] == "summary"), {})


def pages(data: Path, collection: str) -> dict[str, list[str]]:
    """The first line of each point, with the names of the files that it lies in."""
    client = connect(Settings(data=data))
    with closing(client):
        points, _ = client.scroll(f"{collection}-text", limit=1000)
    texts = [(point.payload or {})["text"].splitlines()[0] for point in points]
    assert len(set(texts)) == len(texts), "a page is there twice"
    return {
        text: [Path(path).name for path in (point.payload or {})["paths"]]
        for text, point in zip(texts, points, strict=True)
    }


def write(path: Path, *texts: str, password: str | None = None) -> Path:
    """Long enough ago to be trusted not to change."""
    path.write_bytes(text_pdf(*texts, password=password))
    then = time.time() - 60
    os.utime(path, (then, then))
    return path


def test_a_folder_is_followed_from_one_ingest_to_the_next(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    apple = write(tmp_path / "apple.pdf", "The apple is red.", "More of apples.")
    boat = write(tmp_path / "boat.pdf", "The boat is blue.")
    crane = write(tmp_path / "crane.pdf", "The crane is grey.")
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 8)

    code, done = ingest(capsys, tmp_path, "-c", "followed")
    assert (code, done["documents"], done["pages"], done["not_documents"]) == (0, 3, 4, 1)

    code, done = ingest(capsys, tmp_path, "-c", "followed")
    assert (code, done["tried"], done["unchanged"], done["not_documents"]) == (0, 0, 3, 1)

    boat.rename(tmp_path / "ship.pdf")
    write(apple, "The apple is green.")
    crane.unlink()
    code, done = ingest(capsys, tmp_path, "-c", "followed")
    assert (done["moved"], done["replaced"], done["gone"], done["pruned"]) == (1, 1, 1, 0)
    assert pages(data, "followed") == {
        "The apple is green.": ["apple.pdf"],
        "The boat is blue.": ["ship.pdf"],
        "The crane is grey.": ["crane.pdf"],
    }

    code, done = ingest(capsys, tmp_path, "-c", "followed", "--prune", "--yes")
    assert (code, done["pruned"]) == (0, 1)
    assert "The crane is grey." not in pages(data, "followed")


def test_what_has_failed_is_told_and_tried_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "docs"
    folder.mkdir()
    write(folder / "secret.pdf", "A treasure.", password="swordfish")
    (folder / "passwords").write_text("salmon\nswordfish\n")
    (folder / "dangling.pdf").symlink_to("nowhere")

    code, done = ingest(capsys, folder / "secret.pdf", folder / "dangling.pdf", "-c", "failing")
    assert (code, done) == (1, {})  # what was named is not there

    code, done = ingest(capsys, folder, "-c", "failing")
    assert (code, done["failed"], done["documents"]) == (3, 2, 1)  # the passwords are a text
    rows = [json.loads(line) for line in Path(done["errors_file"]).read_text().splitlines()]
    assert [(Path(row["path"]).name, row["kind"]) for row in rows] == [
        ("secret.pdf", "encrypted"),
        ("dangling.pdf", "dangling"),
    ]
    assert main(command("errors", "-c", "failing")) == 0
    assert "--password-file" in capsys.readouterr().out

    (folder / "dangling.pdf").unlink()
    code, done = ingest(capsys, "retry", "-c", "failing", "--password-file", folder / "passwords")
    assert (code, done["documents"]) == (0, 1)
    assert main(command("errors", "-c", "failing")) == 0
    assert capsys.readouterr().out == "Nothing has failed.\n"


def test_an_ingest_that_was_killed_goes_on_where_it_was(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    texts = [f"Page {number} of a long document." for number in range(1, 97)]
    write(tmp_path / "long.pdf", *texts)
    arguments = command(tmp_path, "-c", "killed")
    running = subprocess.Popen([sys.executable, "-m", "cli.main", *arguments, "--quiet"], cwd=ROOT)
    with closing(Database(manifest_path(Settings(data=data)))) as database:
        manifest, runs = Manifest(database), RunRecords(database)

        def some_are_done() -> bool:
            return running.poll() is not None or any(each.pages_done for each in manifest.documents("killed"))

        wait_until(some_are_done, PATIENCE_S)
        running.kill()
        running.wait()
        (run,) = runs.list("killed")
        assert not run.is_alive(time.time())

        code, done = ingest(capsys, tmp_path, "-c", "killed")

        assert (code, done["left"]) == (0, 0)
        assert sorted(pages(data, "killed")) == sorted(texts)
        (document,) = manifest.documents("killed")
        assert (document.state, document.page_count, document.pages_done) == ("done", 96, 96)


def test_a_watched_folder_is_followed_until_it_is_stopped(data: Path, tmp_path: Path):
    write(tmp_path / "a.pdf", "The first page.")
    arguments = command(tmp_path, "-c", "watched", "--watch")
    watching = Program(tmp_path.parent / f"{tmp_path.name}.log", "-m", "cli.main", *arguments)
    try:
        watching.wait_for("Watching", PATIENCE_S)
        write(tmp_path / "b.pdf", "The second page.")
        (tmp_path / "c.pdf.part").write_bytes(b"half of it")
        wait_until(lambda: len(pages(data, "watched")) == 2, PATIENCE_S)

        (tmp_path / "a.pdf").rename(tmp_path / "moved.pdf")
        wait_until(lambda: ["moved.pdf"] in pages(data, "watched").values(), PATIENCE_S)

        (tmp_path / "b.pdf").unlink()
        wait_until(lambda: len(pages(data, "watched")) == 1, PATIENCE_S)
    finally:
        watching.process.send_signal(signal.SIGINT)
        assert watching.process.wait(PATIENCE_S) == 0, watching.said
    assert pages(data, "watched") == {"The first page.": ["moved.pdf"]}


def test_a_second_ingest_into_one_collection_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with hold_collection(manifest_path(Settings(data=data)).parent, "held"):
        assert main(command(tmp_path, "-c", "held")) == 1

    assert f"pid {os.getpid()}" in capsys.readouterr().err


def test_what_is_removed_over_http_is_forgotten_and_ingested_again(
    data: Path, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write(tmp_path / "a.pdf", "The apple.")
    write(tmp_path / "b.pdf", "The boat.")
    ingest(capsys, tmp_path, "-c", "removed")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        files = {
            Path(str((each.attributes or {})["path"])).name: each.id
            for each in client.vector_stores.files.list("removed")
        }
        client.vector_stores.files.delete(files["a.pdf"], vector_store_id="removed")
        assert list(pages(data, "removed")) == ["The boat."]

        _, done = ingest(capsys, tmp_path, "-c", "removed")
        assert (done["documents"], done["unchanged"]) == (1, 1)
        assert sorted(pages(data, "removed")) == ["The apple.", "The boat."]

        manifests = manifest_path(Settings(data=data)).parent
        with hold_collection(manifests, "removed"), pytest.raises(openai.ConflictError, match="Another"):
            client.vector_stores.delete("removed")
        client.vector_stores.delete("removed")
        assert "removed" not in [each.id for each in client.vector_stores.list()]

    _, done = ingest(capsys, tmp_path, "-c", "removed", "--text")
    assert done["documents"] == 2


def test_a_collection_that_the_store_has_lost_is_made_anew(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write(tmp_path / "a.pdf", "It is here again.")
    ingest(capsys, tmp_path, "-c", "lost")
    with closing(connect(Settings(data=data))) as client:
        client.delete_collection("lost-text")

    _, done = ingest(capsys, tmp_path, "-c", "lost", "--text")

    assert done["documents"] == 1 and list(pages(data, "lost")) == ["It is here again."]


def test_a_dry_run_changes_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write(tmp_path / "a.pdf", "Not yet.")

    assert main(command(tmp_path, "-c", "dry", "--dry-run")) == 0

    assert "1  to ingest" in capsys.readouterr().out
    with closing(connect(Settings(data=data))) as client:
        assert not client.collection_exists("dry-text")


def test_a_dry_run_forgets_nothing_of_a_collection_that_the_store_has_lost(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write(tmp_path / "a.pdf", "It was here.")
    ingest(capsys, tmp_path, "-c", "dry-lost")
    with closing(connect(Settings(data=data))) as client:
        client.delete_collection("dry-lost-text")

    assert main(command(tmp_path, "-c", "dry-lost", "--text", "--dry-run")) == 0

    assert "1  to ingest" in capsys.readouterr().out
    with closing(Database(manifest_path(Settings(data=data)))) as database:
        assert [each.state for each in Manifest(database).documents("dry-lost")] == ["done"]


def test_without_mlxq_up_it_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MLXQ_DATA", str(tmp_path / "nothing"))
    (tmp_path / "docs").mkdir()

    assert main(command(tmp_path / "docs")) == 1
    assert "start `mlxq up`" in capsys.readouterr().err
