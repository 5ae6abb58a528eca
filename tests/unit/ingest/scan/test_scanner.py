"""From folders to what is to be done, and what becomes of it in the manifest."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingest.documents.problem import Problem
from ingest.manifest.database import Database
from ingest.manifest.manifest import Manifest
from ingest.manifest.paths import PathRecords
from ingest.scan.scanner import Scan, Scanner
from ingest.scan.upkeep import Upkeep


class MemoryCollections:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.paths: dict[str, list[str]] = {}
        self.removed: list[str] = []

    def set_paths(self, name: str, document: str, paths: Sequence[str]) -> None:
        self.paths[document] = list(paths)

    def remove_documents(self, name: str, documents: Sequence[str]) -> None:
        self.removed += documents


class Ingest:
    """Scans, and ingests by saying that it is done."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "manifest.sqlite")
        self.manifest, self.paths = Manifest(self.database), PathRecords(self.database)
        self.scanner = Scanner(self.manifest, self.paths, "c")
        self.collections = MemoryCollections()
        self.upkeep = Upkeep(self.manifest, self.paths, self.collections, "c")
        self.docs = folder / "docs"
        self.docs.mkdir()

    def scan(self) -> Scan:
        found = self.scanner.scan([str(self.docs)], ["text"])
        self.scanner.write_down(found)
        return found

    def ingest(self) -> Scan:
        found = self.scan()
        for each in found.plan.work:
            self.manifest.open_document("c", "text", each.document, "f")
            self.manifest.document_done("c", "text", each.document, 1)
        self.upkeep.tell_paths()
        self.upkeep.remove_replaced()
        return found

    def write(self, name: str, text: str) -> Path:
        path = self.docs / name
        path.write_text(text)
        then = time.time() - 60
        os.utime(path, (then, then))
        return path


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Ingest]:
    found = Ingest(tmp_path)
    yield found
    found.database.close()


def test_the_second_ingest_has_nothing_to_do_and_reads_no_file(it: Ingest):
    it.write("a", "A")
    assert len(it.ingest().plan.work) == 1
    (it.docs / "a").chmod(0)  # whoever reads it fails, unless it is root

    again = it.ingest()

    assert again.plan.work == () and again.plan.unchanged == 1 and it.collections.paths == {}


def test_a_moved_file_is_told_to_the_collection(it: Ingest):
    path = it.write("a", "A")
    (work,) = it.ingest().plan.work
    path.rename(it.docs / "b")

    again = it.ingest()

    assert len(again.plan.moved) == 1 and again.plan.work == ()
    assert it.collections.paths == {work.document: [str(it.docs / "b")]}
    assert it.collections.removed == []


def test_a_changed_file_replaces_its_old_content(it: Ingest):
    it.write("a", "A")
    (old,) = it.ingest().plan.work
    it.write("a", "other")

    (new,) = it.ingest().plan.work

    assert it.collections.removed == [old.document]
    assert [each.document for each in it.manifest.documents("c")] == [new.document]


def test_old_content_stays_while_the_new_one_fails(it: Ingest):
    it.write("a", "A")
    (old,) = it.ingest().plan.work
    it.write("a", "other")
    (new,) = it.scan().plan.work
    it.manifest.open_document("c", "text", new.document, "f")
    it.manifest.document_failed("c", "text", new.document, Problem("truncated", "Cut off."))

    assert it.upkeep.remove_replaced() == 0
    assert it.scan().plan.lost == (old.document,)  # --prune takes it


def test_a_file_that_is_gone_stays_until_it_is_pruned(it: Ingest):
    path = it.write("a", "A")
    it.write("b", "B")
    (work, _) = it.ingest().plan.work
    path.unlink()

    again = it.ingest()

    assert again.plan.lost == (work.document,) and it.collections.removed == []
    it.upkeep.remove(again.plan.lost)
    assert it.collections.removed == [work.document]
    assert it.ingest().plan.lost == ()


def test_a_folder_that_is_empty_now_is_told(it: Ingest):
    path = it.write("a", "A")
    assert it.ingest().empty_roots == ()
    path.unlink()

    assert it.ingest().empty_roots == (str(it.docs),)


def test_one_of_two_copies_may_go(it: Ingest):
    it.write("a", "A")
    copy = it.write("copy", "A")
    (work,) = it.ingest().plan.work
    assert work.paths == (str(it.docs / "a"), str(copy))
    copy.unlink()

    again = it.ingest()

    assert again.plan.lost == () and it.collections.paths == {work.document: [str(it.docs / "a")]}


def test_a_collection_hears_of_paths_again_if_it_could_not_be_told(
    it: Ingest, monkeypatch: pytest.MonkeyPatch
):
    path = it.write("a", "A")
    (work,) = it.ingest().plan.work
    path.rename(it.docs / "b")

    def refuse(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(it.collections, "set_paths", refuse)
        with pytest.raises(ConnectionError):
            it.ingest()

    it.ingest()

    assert it.collections.paths == {work.document: [str(it.docs / "b")]}


def test_problems_leave_with_their_cause(it: Ingest):
    path = it.docs / "a"
    path.touch()
    it.scan()
    assert [each.kind for each in it.manifest.problems("c")] == ["empty"]
    it.write("a", "A")

    it.scan()

    assert it.manifest.problems("c") == []


def test_problems_of_files_that_are_gone_leave_too(it: Ingest):
    path = it.docs / "a"
    path.touch()
    it.scan()
    path.unlink()

    it.scan()

    assert it.manifest.problems("c") == []


def test_a_file_that_has_just_changed_is_left_for_a_later_look(it: Ingest):
    it.write("old", "A")
    (it.docs / "growing").write_text("B")

    found = it.scanner.scan([str(it.docs)], ["text"], settle_s=30)

    assert found.fresh == (str(it.docs / "growing"),)
    assert [each.paths for each in found.plan.work] == [(str(it.docs / "old"),)]
    assert len(it.scanner.scan([str(it.docs)], ["text"]).plan.work) == 2


def test_a_file_that_is_being_written_anew_is_not_gone(it: Ingest):
    path = it.write("a", "A")
    it.ingest()
    path.write_text("other")

    assert it.scanner.scan([str(it.docs)], ["text"], settle_s=30).plan.gone == ()
