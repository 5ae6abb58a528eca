"""Files of models that are deleted, and what others still need."""

import os
from pathlib import Path

import pytest

from jobs.catalogue.deletion import Deletion, delete, planned, unused
from jobs.catalogue.marks import mark, marked
from jobs.catalogue.pull_lock import held, lock_of
from jobs.errors import InvalidInput

SIZE = 1000


def snapshot(cache: Path, repository: str, commit: str, *contents: str) -> Path:
    """A folder of the Hugging Face cache with a file for each content, also in a subfolder."""
    home = cache / repository
    folder = home / "snapshots" / commit
    (folder / "1_Pooling").mkdir(parents=True)
    (home / "blobs").mkdir(exist_ok=True)
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / f"branch-{commit}").write_text(commit)
    for number, content in enumerate(contents):
        blob = home / "blobs" / content
        blob.write_bytes(b"x" * SIZE)
        link = folder / (f"1_Pooling/{number}" if number else f"{number}")
        link.symlink_to(os.path.relpath(blob, link.parent))
    return folder


def test_the_only_snapshot_goes_with_its_repository(tmp_path: Path):
    folder = snapshot(tmp_path, "models--a--b", "c1", "x", "y")
    other = snapshot(tmp_path, "models--a--other", "c1", "z")
    (tmp_path / ".locks" / "models--a--b").mkdir(parents=True)

    plan = planned(folder, tmp_path / "models")
    assert plan.freed_bytes == 2 * SIZE
    assert plan.paths[0] == folder, "a snapshot without its contents would be taken for a whole one"
    delete(plan)

    assert {path.name for path in tmp_path.iterdir()} == {".locks", "models--a--other"}
    assert [*(tmp_path / ".locks").iterdir()], "whoever waits for it would hold a lock that nobody else sees"
    assert (other / "0").read_bytes() == b"x" * SIZE


def test_contents_that_another_revision_needs_stay(tmp_path: Path):
    first = snapshot(tmp_path, "models--a--b", "c1", "x", "y")
    second = snapshot(tmp_path, "models--a--b", "c2", "x", "z")

    plan = planned(first, tmp_path / "models")
    assert plan.freed_bytes == SIZE
    delete(plan)

    home = tmp_path / "models--a--b"
    assert {path.name for path in (home / "blobs").iterdir()} == {"x", "z"}
    assert [path.name for path in (home / "refs").iterdir()] == ["branch-c2"]
    assert (second / "0").read_bytes() and (second / "1_Pooling" / "1").read_bytes()
    assert not first.exists()


def test_contents_that_another_repository_links_to_stay(tmp_path: Path):
    folder = snapshot(tmp_path, "models--a--b", "c1", "x", "y")
    copy = snapshot(tmp_path, "models--a--copy", "c9")
    (copy / "shared").symlink_to(tmp_path / "models--a--b" / "blobs" / "x")

    plan = planned(folder, tmp_path / "models")
    assert plan.freed_bytes == SIZE
    delete(plan)

    assert (copy / "shared").read_bytes() == b"x" * SIZE
    assert not folder.exists()


def test_a_folder_of_our_own_goes_whole(tmp_path: Path):
    folder = tmp_path / "models" / "org" / "name-4bit"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"x" * SIZE)

    plan = planned(folder, tmp_path / "models")
    assert plan == Deletion((folder,), SIZE)
    delete(plan)
    assert not folder.exists() and (tmp_path / "models").exists()


@pytest.mark.parametrize(
    "where", ["models", "elsewhere/model", "models--a--b", "models--a--b/snapshots", "gone"]
)
def test_no_other_folder_is_ever_deleted(tmp_path: Path, where: str):
    for folder in ("models", "elsewhere/model", "models--a--b/snapshots"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "file").write_text("x")

    assert planned(tmp_path / where, tmp_path / "models") == Deletion((), 0)


def test_a_file_with_another_hard_link_frees_nothing(tmp_path: Path):
    folder = tmp_path / "models" / "m"
    folder.mkdir(parents=True)
    (tmp_path / "upload").write_bytes(b"x" * SIZE)
    (folder / "weights").hardlink_to(tmp_path / "upload")

    assert planned(folder, tmp_path / "models").freed_bytes == 0


@pytest.mark.parametrize("name", ["z.mlxq.incomplete", "z.incomplete", "z"])
def test_what_is_no_part_of_the_only_snapshot_stays(tmp_path: Path, name: str):
    folder = snapshot(tmp_path, "models--a--b", "c1", "x", "y")
    other = tmp_path / "models--a--b" / "blobs" / name
    other.write_bytes(b"of another commit")

    delete(planned(folder, tmp_path / "models"))

    assert [path for path in (tmp_path / "models--a--b").rglob("*") if path.is_file()] == [other]


def test_what_another_tool_downloaded_stays_unless_somebody_says_so(tmp_path: Path):
    folder = snapshot(tmp_path, "models--a--b", "c1", "x", "y")
    mark(tmp_path / "models--a--b", ["x"])

    plan = planned(folder, tmp_path / "models", only_pulled=True)
    assert plan.freed_bytes == SIZE
    delete(plan)

    assert not (folder / "0").is_symlink() and (folder / "1_Pooling" / "1").read_bytes()
    assert marked(tmp_path / "models--a--b") == set(), "another tool may download it again"
    delete(planned(folder, tmp_path / "models"))
    assert not folder.exists()


def test_all_goes_unasked_that_mlxq_downloaded(tmp_path: Path):
    folder = snapshot(tmp_path, "models--a--b", "c1", "x", "y")
    mark(tmp_path / "models--a--b", ["x", "y"])
    delete(planned(folder, tmp_path / "models", only_pulled=True))
    assert not (tmp_path / "models--a--b").exists()


@pytest.mark.parametrize("place", ["models--a--b/snapshots/c1", "models/org/name-4bit"])
def test_what_is_being_pulled_is_not_deleted(tmp_path: Path, place: str):
    folder = tmp_path / place
    with (
        held(lock_of(folder), lambda _: None),
        pytest.raises(InvalidInput, match="mine is being pulled at the moment"),
        unused("mine", folder),
    ):
        pass
    with unused("mine", folder):
        pass
