"""What the manifest remembers of documents and pages."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.documents.problem import Problem
from ingest.manifest.database import Database, ManifestUnusable
from ingest.manifest.generations import GenerationRecords
from ingest.manifest.manifest import FingerprintChanged, Manifest
from ingest.manifest.paths import PathRecords
from ingest.manifest.records import FileRecord

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path / "ingest" / "manifest.sqlite")
    yield found
    found.close()


@pytest.fixture
def manifest(database: Database) -> Manifest:
    return Manifest(database)


@pytest.fixture
def paths(database: Database) -> PathRecords:
    return PathRecords(database)


def test_pages_that_were_done_stay_done_when_the_document_is_opened_again(manifest: Manifest):
    manifest.open_document("c", "visual", A, "model 1")
    manifest.pages_done("c", "visual", A, [1, 2])
    manifest.pages_done("c", "visual", A, [2, 5])

    manifest.open_document("c", "visual", A, "model 1")

    assert manifest.done_pages("c", "visual", A) == {1, 2, 5}
    assert [(each.state, each.pages_done) for each in manifest.documents("c")] == [("open", 3)]


def test_what_is_done_outlives_a_process_that_was_killed(tmp_path: Path):
    database = Database(tmp_path / "m.sqlite")
    manifest = Manifest(database)
    manifest.open_document("c", "text", A, "f")
    manifest.pages_done("c", "text", A, [1])
    # Nothing is closed: another process reads what the commits have left.

    with_nothing_closed = Manifest(Database(tmp_path / "m.sqlite", read_only=True))

    assert with_nothing_closed.done_pages("c", "text", A) == {1}
    database.close()


def test_kinds_and_collections_know_nothing_of_each_other(manifest: Manifest):
    manifest.open_document("c", "visual", A, "f")
    manifest.pages_done("c", "visual", A, [1])

    assert manifest.done_pages("c", "text", A) == set()
    assert manifest.done_pages("d", "visual", A) == set()
    assert manifest.documents("c", "text") == []


def test_another_fingerprint_is_refused_with_what_to_do(manifest: Manifest):
    manifest.open_document("c", "visual", A, "model 1")

    with pytest.raises(FingerprintChanged, match=r"model 1.*model 2.*--into NEW"):
        manifest.open_document("c", "visual", B, "model 2")

    assert [each.document for each in manifest.documents("c")] == [A]
    manifest.open_document("d", "visual", B, "model 2")


def test_a_document_is_done_with_pages_that_failed(manifest: Manifest, paths: PathRecords):
    paths.set_paths("c", {"/b.pdf": A, "/a.pdf": A})
    manifest.open_document("c", "visual", A, "f")
    manifest.pages_done("c", "visual", A, [1, 3])
    manifest.page_failed("c", "visual", A, 2, Problem("too_large", "Too large.", 2))
    manifest.document_done("c", "visual", A, 3, [Problem("no_ink", "Blank.")])

    (record,) = manifest.documents("c")
    assert (record.state, record.page_count, record.pages_done, record.pages_failed) == ("done", 3, 2, 1)
    told = [(each.path, each.page, each.kind, each.is_warning) for each in manifest.problems("c")]
    assert told == [("/a.pdf", None, "no_ink", True), ("/a.pdf", 2, "too_large", False)]


def test_problems_are_forgotten_when_the_document_is_opened_again(manifest: Manifest):
    manifest.open_document("c", "text", A, "f")
    manifest.document_failed("c", "text", A, Problem("encrypted", "Give a password."))
    assert [each.state for each in manifest.documents("c")] == ["failed"]

    manifest.open_document("c", "text", A, "f")

    assert manifest.problems("c") == []


def test_what_both_kinds_tell_is_told_once(manifest: Manifest, paths: PathRecords):
    paths.set_paths("c", {"/a.pdf": A})
    for kind in ("visual", "text"):
        manifest.open_document("c", kind, A, "f")
        manifest.document_failed("c", kind, A, Problem("encrypted", "Give a password."))

    assert len(manifest.problems("c")) == 1


def test_problems_of_files_without_a_document_are_told_by_their_path(manifest: Manifest, paths: PathRecords):
    paths.set_problems("c", {"/x": Problem("unreadable", "No rights."), "/y": Problem("empty", "Empty.")}, [])
    paths.set_problems("c", {}, ["/y"])

    assert [(each.path, each.document, each.kind) for each in manifest.problems()] == [
        ("/x", "", "unreadable")
    ]
    assert paths.problem_paths("c") == ["/x"]


def test_a_forgotten_document_leaves_nothing(manifest: Manifest, paths: PathRecords, database: Database):
    paths.set_paths("c", {"/a": A, "/b": B})
    for kind in ("visual", "text"):
        manifest.open_document("c", kind, A, "f")
        manifest.pages_done("c", kind, A, [1])
        manifest.page_failed("c", kind, A, 2, Problem("crashed", "It died.", 2))

    manifest.forget_documents("c", [A])

    assert manifest.documents("c") == [] and manifest.problems("c") == []
    assert database.read("SELECT count(*) FROM pages") == [(0,)]
    assert paths.documents("c") == {"/b": B}


def test_a_forgotten_collection_may_have_another_fingerprint(manifest: Manifest, paths: PathRecords):
    paths.set_paths("c", {"/a": A})
    manifest.open_document("c", "visual", A, "model 1")
    manifest.open_document("c", "text", A, "other 1")

    manifest.forget_collection("c", "visual")

    assert paths.documents("c") == {"/a": A}
    manifest.open_document("c", "visual", A, "model 2")
    manifest.forget_collection("c")
    assert paths.documents("c") == {} and manifest.summaries() == []


def test_names_that_are_no_unicode_come_back_byte_for_byte(manifest: Manifest, paths: PathRecords):
    odd = b"/caf\xe9/e\xcc\x81.pdf".decode("utf-8", "surrogateescape")
    paths.set_paths("c", {odd: A})
    paths.set_files({odd: FileRecord(1, 2, 3, A)})

    assert paths.paths("c", A) == [odd]
    assert list(paths.files()) == [odd]
    manifest.open_document("c", "text", A, "f")
    manifest.document_failed("c", "text", A, Problem("empty", "Empty."))
    assert [each.path for each in manifest.problems("c")] == ["/caf\ufffd/\u00e9.pdf"]


def test_a_replaced_document_shows_once_its_successor_is_done(manifest: Manifest, paths: PathRecords):
    paths.set_paths("c", {"/a": A})
    paths.set_paths("c", {"/a": B})
    assert paths.replaced("c") == []  # nothing is known of B yet

    for kind in ("visual", "text"):
        manifest.open_document("c", kind, B, "f")
    manifest.document_done("c", "visual", B, 1)
    assert paths.replaced("c") == []

    manifest.document_done("c", "text", B, 1)
    assert paths.replaced("c") == [A]


def test_a_reembedding_that_was_left_keeps_no_replaced_document(
    database: Database, manifest: Manifest, paths: PathRecords
):
    anew = Manifest(database, {"text": "1234"})
    manifest.set_fingerprint("c", "text", "f")
    paths.set_paths("c", {"/a": A})
    paths.set_paths("c", {"/a": B})
    anew.open_document("c", "text", B, "g")
    assert paths.replaced("c") == []  # nobody finds B yet

    manifest.open_document("c", "text", B, "f")
    manifest.document_done("c", "text", B, 1)
    assert paths.replaced("c") == [A]


def test_a_successor_that_only_a_reembedding_has_replaces_nothing(
    database: Database, manifest: Manifest, paths: PathRecords
):
    anew = Manifest(database, {"text": "1234"})
    manifest.open_document("c", "text", A, "f")
    manifest.document_done("c", "text", A, 1)
    paths.set_paths("c", {"/a": A})
    paths.set_paths("c", {"/a": B})

    anew.open_document("c", "text", B, "g")
    anew.document_done("c", "text", B, 1)

    assert paths.replaced("c") == []  # no search finds B yet


def test_a_document_is_replaced_once_its_successor_is_done_in_each_of_its_kinds(
    manifest: Manifest, paths: PathRecords
):
    for kind in ("visual", "text"):
        manifest.open_document("c", kind, A, "f")
        manifest.document_done("c", kind, A, 1)
    paths.set_paths("c", {"/a": A})
    paths.set_paths("c", {"/a": B})

    manifest.open_document("c", "text", B, "f")
    manifest.document_done("c", "text", B, 1)
    assert paths.replaced("c") == []

    manifest.open_document("c", "visual", B, "f")
    manifest.document_done("c", "visual", B, 1)
    assert paths.replaced("c") == [A]


def test_another_generation_is_a_kind_of_its_own_until_it_takes_over(database: Database, manifest: Manifest):
    anew, generations = Manifest(database, {"text": "1234"}), GenerationRecords(database)
    for each, fingerprint, document in ((manifest, "f", A), (anew, "g", B)):
        each.open_document("c", "text", document, fingerprint)
        each.document_done("c", "text", document, 1)
    assert [each.kind for each in manifest.documents("c")] == ["text", "text@1234"]
    assert (manifest.fingerprint("c", "text"), anew.fingerprint("c", "text")) == ("f", "g")

    assert not generations.promote("c", "text", "other")
    assert generations.promote("c", "text", "1234")
    assert not generations.promote("c", "text", "1234")
    assert [(each.kind, each.document) for each in manifest.documents("c")] == [("text", B)]
    assert manifest.fingerprint("c", "text") == "g"

    anew.set_fingerprint("c", "text", "h")
    generations.forget_others("c", "text")
    assert [each.kind for each in manifest.summaries()] == ["text"]


def test_a_replaced_document_that_lies_elsewhere_stays(manifest: Manifest, paths: PathRecords):
    paths.set_paths("c", {"/a": A, "/copy": A})
    paths.set_paths("c", {"/a": B})
    manifest.open_document("c", "text", B, "f")
    manifest.document_done("c", "text", B, 1)

    assert paths.replaced("c") == []


def test_summaries_count_by_kind(manifest: Manifest):
    manifest.open_document("c", "text", A, "f")
    manifest.pages_done("c", "text", A, [1, 2])
    manifest.document_done("c", "text", A, 2)
    manifest.open_document("c", "text", B, "f")
    manifest.document_failed("c", "text", B, Problem("empty", "Empty."))
    manifest.open_document("c", "text", C, "f")

    (found,) = manifest.summaries()

    assert (found.documents_done, found.documents_open, found.documents_failed) == (1, 1, 1)
    assert (found.pages_done, found.problems) == (2, 1)


def test_a_file_of_another_version_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "m.sqlite"
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(ManifestUnusable, match="99"):
        Database(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    path = tmp_path / "m.sqlite"
    path.write_text("This is a text, and a longer one than the header of a database is. " * 20)

    with pytest.raises(ManifestUnusable, match=r"m\.sqlite"):
        Database(path)


def test_a_reader_makes_nothing_and_writes_nothing(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        Database(tmp_path / "m.sqlite", read_only=True)
    assert list(tmp_path.iterdir()) == []

    Database(tmp_path / "m.sqlite").close()
    reader = Database(tmp_path / "m.sqlite", read_only=True)
    with pytest.raises(sqlite3.OperationalError):
        reader.write("DELETE FROM runs")
    reader.close()


def test_a_document_that_lies_elsewhere_now_is_to_be_told_to_the_collection_once(
    manifest: Manifest, paths: PathRecords
):
    paths.set_paths("c", {"/a": A, "/b": B})
    assert paths.relisted("c") == {}  # the collection has nothing of them yet
    for document in (A, B):
        manifest.open_document("c", "text", document, "f")

    paths.set_paths("c", {"/moved/a": A}, gone=["/a"])

    assert paths.relisted("c") == {A: ["/moved/a"]}
    paths.told("c", [A])
    assert paths.relisted("c") == {}


def test_a_document_that_lies_nowhere_keeps_the_paths_that_the_collection_has(
    manifest: Manifest, paths: PathRecords
):
    paths.set_paths("c", {"/a": A})
    manifest.open_document("c", "text", A, "f")

    paths.set_paths("c", {"/a": B})

    assert paths.relisted("c") == {}


def test_a_document_tells_by_what_it_failed(manifest: Manifest):
    manifest.open_document("c", "text", A, "f")
    manifest.document_failed("c", "text", A, Problem("encrypted", "Give a password."))
    manifest.open_document("c", "text", B, "f")
    manifest.document_done("c", "text", B, 1, [Problem("no_text", "Nothing to read.")])

    assert {each.document: each.failure for each in manifest.documents("c")} == {A: "encrypted", B: ""}


def test_a_manifest_that_is_being_made_is_not_there_yet(tmp_path: Path):
    sqlite3.connect(tmp_path / "m.sqlite").close()
    (tmp_path / "m.sqlite").touch()

    with pytest.raises(FileNotFoundError):
        Database(tmp_path / "m.sqlite", read_only=True)
