"""`mlxq search`, and the API's search in its process, over the embedded store; by keywords, which need no worker."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.main import main
from jobs.store.redis_server import RedisServer
from tests.fuzz.collection import TEXTS, SearchedCollection, collection
from tests.support.stack import Program
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchedCollection]:
    with collection(tmp_path_factory.mktemp("searched")) as found:
        yield found


def search(searched: SearchedCollection, *options: str) -> int:
    """Its exit code."""
    return main(["search", *options, "--data", f"{searched.data}"])


def test_a_page_is_found_and_told_in_words(searched: SearchedCollection, capsys: pytest.CaptureFixture[str]):
    assert search(searched, "leases", "--mode", "keywords") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith(" 1 ")
    assert "queue.pdf:1" in lines[0]
    assert lines[1].strip() == TEXTS[0]
    assert said.err == ""


def test_json_is_the_reply(searched: SearchedCollection, capsys: pytest.CaptureFixture[str]):
    search(searched, "job", "--mode", "keywords", "--json", "--filter", "page=2")
    [hit] = json.loads(capsys.readouterr().out)["hits"]
    assert (hit["document"], hit["page"], hit["snippet"]) == (searched.document, 2, TEXTS[1])


def test_open_shows_the_file_of_the_first_hit(
    searched: SearchedCollection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    opened = tmp_path / "opened"
    for name in ("xdg-open", "open"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert search(searched, "job", "--mode", "keywords", "--open") == 0
    wait_until(opened.exists)
    assert Path(opened.read_text()).name == "queue.pdf"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("job", "-c", "attic"), "There is no collection 'attic'. There is: documents."),
        (("job", "--mode", "text"), "Redis cannot be used"),
        (("--filter", "page=1"), "Say what to look for"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_what_to_do(
    searched: SearchedCollection,
    options: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
):
    assert search(searched, *options) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert len(said.err.splitlines()) == 1


def test_without_a_store_it_says_what_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert search(SearchedCollection(tmp_path, ""), "job") == 1
    assert "mlxq up" in capsys.readouterr().err


@contextlib.contextmanager
def serving(folder: Path, data: Path) -> Iterator[str]:
    """The URL of an API process of `mlxq serve`, and no worker."""
    with RedisServer(folder / "redis") as redis:
        program = Program(
            folder / "log", "-m", "cli.main", "serve", "--port", "0", REDIS_URL=redis.url, MLXQ_DATA=f"{data}"
        )
        try:
            yield program.wait_for(r"serves (http\S+),")[1]
        finally:
            program.stop()


def test_the_api_searches_shows_pages_and_without_a_store_says_what_to_start(
    searched: SearchedCollection, tmp_path: Path
):
    data = tmp_path / "data"
    data.symlink_to(tmp_path / "nothing")
    with serving(tmp_path, data) as url, httpx.Client(base_url=url, timeout=120) as client:
        wait_until(lambda: _answers(client))
        away = client.post("/v1/search", json={"query": "job"})
        assert (away.status_code, away.json()["error"]["code"]) == (503, "store_unavailable")
        assert "mlxq up" in away.json()["error"]["message"]
        data.unlink()
        data.symlink_to(searched.data)
        # The socket's path is the data folder's own, so the store is there now.
        found = client.post("/v1/search", json={"query": "job", "mode": "keywords"}).json()
        assert found["hits"][0]["document"] == searched.document
        page = client.get(f"/v1/collections/documents/documents/{searched.document}/pages/2/image")
        assert page.content.startswith(b"\x89PNG")


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False
