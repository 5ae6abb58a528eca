"""Which files are read, and what is found in them."""

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from ingest.manifest.records import FileRecord
from ingest.scan.hashing import RACY_NS, Hashed, HashProgress, Stopped, hash_files, is_known
from ingest.scan.walk import FoundFile, walk


def run(folder: Path, known: dict[str, FileRecord]) -> tuple[Hashed, HashProgress]:
    """What is hashed is known afterwards."""
    progress = HashProgress()
    files = walk([str(folder)]).files
    return hash_files(files, dict(known), known.update, progress, threading.Event(), threads=2), progress


def write(path: Path, text: str, age_s: float = 60) -> str:
    """Returns the content's digest."""
    path.write_text(text)
    then = time.time() - age_s
    os.utime(path, (then, then))
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_file_is_read_once_while_it_stays_as_it_is(tmp_path: Path):
    known = dict[str, FileRecord]()
    digest = write(tmp_path / "a", "first")

    first, read = run(tmp_path, known)
    second, read_again = run(tmp_path, known)

    assert first.documents == second.documents == {str(tmp_path / "a"): digest}
    assert (read.bytes_done, read_again.files_total, read_again.bytes_done) == (5, 0, 0)


def test_a_file_of_another_size_or_time_is_read_again(tmp_path: Path):
    known = dict[str, FileRecord]()
    write(tmp_path / "a", "first")
    run(tmp_path, known)
    digest = write(tmp_path / "a", "other", age_s=30)

    again, read = run(tmp_path, known)

    assert again.documents == {str(tmp_path / "a"): digest} and read.files_done == 1


def test_a_change_within_the_same_second_as_the_reading_is_noticed(tmp_path: Path):
    known = dict[str, FileRecord]()
    write(tmp_path / "a", "first", age_s=0.1)
    run(tmp_path, known)
    status = (tmp_path / "a").stat()
    digest = write(tmp_path / "a", "other")
    os.utime(tmp_path / "a", ns=(status.st_atime_ns, status.st_mtime_ns))  # as a coarse clock would leave it

    again, _ = run(tmp_path, known)

    assert again.documents == {str(tmp_path / "a"): digest}


def test_a_file_is_trusted_only_if_it_was_read_well_after_its_change():
    found = FoundFile("/a", 5, 1_000, (1, 1))

    assert is_known(found, FileRecord(5, 1_000, 1_001 + RACY_NS, "d"))
    assert not is_known(found, FileRecord(5, 1_000, 1_000 + RACY_NS, "d"))
    assert not is_known(found, FileRecord(5, 1_001, 9_000 + RACY_NS, "d"))
    assert not is_known(found, FileRecord(6, 1_000, 9_000 + RACY_NS, "d"))
    assert not is_known(found, None)


def test_links_to_one_file_are_read_once(tmp_path: Path):
    known = dict[str, FileRecord]()
    digest = write(tmp_path / "a", "content")
    (tmp_path / "b").symlink_to("a")
    os.link(tmp_path / "a", tmp_path / "c")

    result, read = run(tmp_path, known)

    assert result.documents == {str(tmp_path / name): digest for name in "abc"}
    assert read.bytes_done == len("content") and set(known) == set(result.documents)


def test_a_file_that_grows_while_it_is_read_is_a_problem(tmp_path: Path):
    write(tmp_path / "a", "first")
    saved = dict[str, FileRecord]()

    class GrowsAfterTheFirstBlock(HashProgress):
        def __setattr__(self, name: str, value: int) -> None:
            super().__setattr__(name, value)
            if name == "bytes_done" and value == len("first"):
                with open(tmp_path / "a", "a") as file:
                    file.write(" and more")

    files = walk([str(tmp_path)]).files
    result = hash_files(files, {}, saved.update, GrowsAfterTheFirstBlock(), threading.Event())

    assert result.problems[str(tmp_path / "a")].kind == "changing"
    assert result.documents == {} and saved == {}


def test_a_file_that_cannot_be_read_does_not_end_the_others(tmp_path: Path):
    write(tmp_path / "a", "a")
    digest = write(tmp_path / "b", "b")
    files = walk([str(tmp_path)]).files
    (tmp_path / "a").unlink()
    os.mkfifo(tmp_path / "a")

    result = hash_files(files, {}, lambda _: None, HashProgress(), threading.Event())

    assert result.documents == {str(tmp_path / "b"): digest}
    assert {path: each.kind for path, each in result.problems.items()} == {str(tmp_path / "a"): "changing"}


def test_what_was_read_before_a_stop_is_saved(tmp_path: Path):
    write(tmp_path / "a", "a")
    write(tmp_path / "b", "b" * (3 << 20))
    stop, saved = threading.Event(), dict[str, FileRecord]()

    class StopsInTheSecondFile(HashProgress):
        def __setattr__(self, name: str, value: int) -> None:
            super().__setattr__(name, value)
            if name == "bytes_done" and value > 1:
                stop.set()

    with pytest.raises(Stopped):
        hash_files(walk([str(tmp_path)]).files, {}, saved.update, StopsInTheSecondFile(), stop, threads=1)

    assert set(saved) == {str(tmp_path / "a")}
