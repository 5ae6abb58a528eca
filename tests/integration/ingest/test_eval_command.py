"""`mlxq eval`: judgements for a collection, and its figures. With models that know words alone."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import cli.commands.eval
from cli.main import main
from ingest.collections.collections import Collections
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.points import ChunkFacts, text_point
from ingest.qdrant.connect import connect
from ingest.qdrant.writers import bulk_writer
from ingest.search.opened import opened_search
from ingest.search.service import CollectionSearch
from ingest.text.bm25 import document_vector
from jobs.settings import Settings
from tests.support.documents.pdf import page_of, pdf
from tests.support.vectors.documents import NOW, store_in
from tests.support.vectors.word_queue import DIMENSIONS, TEXT_MODEL, WordQueue, text_vector

TEXTS = ("Leases of workers", "Queues and lanes", "Streams of tokens")
BOOKMARKS = [("Leases", 1), ("Lanes", 2), ("Streams", 3)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a store with the collection `manuals`: a PDF of three pages with bookmarks."""
    path = tmp_path_factory.mktemp("manuals") / "manual.pdf"
    path.write_bytes(pdf([page_of(text) for text in TEXTS], bookmarks=BOOKMARKS))
    document = hashlib.sha256(path.read_bytes()).hexdigest()
    with (
        store_in(tmp_path_factory.mktemp("data")) as settings,
        contextlib.closing(bulk_writer(settings)) as writer,
        contextlib.closing(connect(settings)) as client,
    ):
        collections = Collections(client, writer)
        collections.ensure("manuals", "text", DIMENSIONS, Fingerprint(TEXT_MODEL.id, TEXT_MODEL.digest))
        for number, text in enumerate(TEXTS):
            facts = ChunkFacts(
                *(document, (f"{path}",), number + 1, "", NOW, number, text, "", 0, len(text)),
            )
            point = text_point(facts, text_vector(text), document_vector(text))
            collections.upsert("manuals", "text", [point])
        yield settings.data


@pytest.fixture(autouse=True)
def _word_queue(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Instead of Redis and a worker."""

    @contextlib.asynccontextmanager
    async def connected(settings: Settings) -> AsyncIterator[CollectionSearch]:
        async with opened_search(settings, WordQueue()) as found:
            yield found

    monkeypatch.setattr(cli.commands.eval, "connected", connected)


def evaluate(data: Path, *options: str) -> int:
    return main(["eval", "-c", "manuals", "--data", f"{data}", *options])


def test_bookmarks_are_asked_for_by_every_way_that_the_collection_allows(
    data: Path, capsys: pytest.CaptureFixture[str]
):
    assert evaluate(data) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 queries: bookmarks of 1 documents, in the collection manuals"
    assert [line.split()[:4] for line in lines[3:6]] == [
        [name, "1.000", "1.000", "1.000"] for name in ("text", "keywords", "hybrid")
    ]
    assert lines[3].split()[-1] == f"{4 * DIMENSIONS}"  # a chunk a page


def test_judgements_of_the_users_are_read(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    qrels, queries = tmp_path / "qrels", tmp_path / "queries"
    queries.write_text("q1\twhat is a lane?\nq2\ttokens\n")
    assert evaluate(data, "--json") == 0
    capsys.readouterr()
    main(["search", "lanes", "--mode", "keywords", "--json", "--data", f"{data}"])
    path = json.loads(capsys.readouterr().out)["hits"][0]["paths"][0]
    qrels.write_text(f"q1 0 {path}#page=2 1\nq2 0 {path}#page=1 1\n")
    assert evaluate(data, "--qrels", f"{qrels}", "--queries", f"{queries}", "--json") == 0
    results = {each["mode"]: each for each in json.loads(capsys.readouterr().out)["results"]}
    assert results["keywords"]["measures"]["recall"] == 0.5
    assert results["text"]["measures"]["queries"] == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--qrels", "a"), "--qrels and --queries go together"),
        (("--qrels", "/nowhere", "--queries", "/nowhere"), "Cannot read /nowhere"),
        (("--generated",), "mlxq eval --generate FOLDER"),
        (("--pages", "9999"), "at most"),
        (("-c", "attic"), "There is no collection 'attic'"),
    ],
)
def test_what_cannot_be_measured_is_one_line_that_says_why(
    data: Path, options: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
):
    assert evaluate(data, *options) == 1
    assert says in capsys.readouterr().err


def test_the_generated_document_is_written_with_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["eval", "--generate", f"{tmp_path}/new", "--pages", "4"]) == 0
    [path] = (tmp_path / "new").iterdir()
    assert path.read_bytes().startswith(b"%PDF")
    said = capsys.readouterr().out
    assert f"mlxq ingest {tmp_path}/new --into generated" in said
    assert "mlxq eval -c generated --generated --pages 4" in said
