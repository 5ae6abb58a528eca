"""Files of models that are deleted, and what others still need."""

import os
from pathlib import Path

import pytest

from jobs.catalogue.deletion import Deletion, delete, planned

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
    delete(plan)

    assert {path.name for path in tmp_path.iterdir()} == {".locks", "models--a--other"}
    assert not [*(tmp_path / ".locks").iterdir()]
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
