import os
import time
from pathlib import Path

import pytest

from jobs.results.folder import KEPT_S, ResultFolder, file_name, job_of, results_folder
from jobs.settings import Settings

NAME = file_name("job-1", "00ffx1") or ""


def age(folder: ResultFolder, name: str, by_s: float) -> None:
    """As if the file had been written so much earlier."""
    path = folder.path / name
    then = path.stat().st_mtime - by_s
    os.utime(path, (then, then))


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "not" / "there yet")


def test_a_file_is_read_as_it_was_written_and_can_be_removed_twice(folder: ResultFolder):
    folder.write(NAME, b"data", 60)
    folder.write(NAME, b"anew", 60)
    assert os.listdir(folder.path) == [NAME]
    assert folder.read(NAME) == b"anew"
    for _ in range(2):
        folder.remove(NAME)
    with pytest.raises(FileNotFoundError):
        folder.read(NAME)


@pytest.mark.parametrize("job_id", ["", "../a", "a/b", "a.b", "a" * 65, "ü", "a\n"])
def test_an_id_that_can_be_no_part_of_a_name_has_no_file(job_id: str):
    assert file_name(job_id, "00ffx1") is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "lock", ".part", "job-1.00ffx1.part"])
def test_what_is_no_name_of_a_result_is_neither_read_nor_removed(folder: ResultFolder, name: str):
    assert job_of(name) is None
    for call in (folder.read, folder.remove):
        with pytest.raises(ValueError, match="no name"):
            call(name)


def test_files_are_overdue_when_their_time_is_over(folder: ResultFolder):
    other = file_name("job-2", "00ffx1") or ""
    folder.write(NAME, b"", 100)
    folder.write(other, b"", -1)
    assert folder.overdue(10) == []
    age(folder, NAME, 100)
    assert folder.overdue(10) == [NAME]
    age(folder, other, KEPT_S)
    assert sorted(folder.overdue(10)) == [NAME, other]


def test_all_files_have_their_turn_though_few_are_looked_at_at_once(folder: ResultFolder):
    names = {file_name(f"job-{n}", "0x1") or "" for n in range(10)}
    for name in names:
        folder.write(name, b"", 1)
        age(folder, name, 1)
    seen = [folder.overdue(3) for _ in range(4)]
    assert max(map(len, seen)) == 3
    assert {name for some in seen for name in some} == names


def test_what_a_writer_that_died_has_left_is_removed_after_a_day(folder: ResultFolder):
    folder.write(NAME, b"", 60)
    left = folder.path / f"{NAME}.part"
    left.write_bytes(b"half")
    folder.overdue(10)
    assert left.exists()
    age(folder, left.name, KEPT_S)
    folder.overdue(10)
    assert os.listdir(folder.path) == [NAME]


def test_a_folder_that_is_not_there_has_no_files(folder: ResultFolder):
    assert folder.overdue(10) == []


def test_a_write_that_fails_leaves_nothing(folder: ResultFolder, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.write(NAME, b"data", 60)
    assert os.listdir(folder.path) == []


def test_large_results_lie_beside_our_own_redis_or_where_the_setting_says(tmp_path: Path):
    own = results_folder(Settings(data=tmp_path))
    assert own is not None
    assert own.path == tmp_path / "redis" / "results"
    said = results_folder(Settings(redis_url="redis://somewhere", results=tmp_path / "shared"))
    assert said is not None
    assert said.path == tmp_path / "shared"
    assert results_folder(Settings(redis_url="redis://somewhere")) is None


def test_a_file_is_dated_by_when_it_may_go(folder: ResultFolder):
    folder.write(NAME, b"", 1000)
    assert (folder.path / NAME).stat().st_mtime == pytest.approx(time.time() + 1000, abs=100)
