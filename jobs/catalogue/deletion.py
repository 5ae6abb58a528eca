"""Deleting the files of a model: a folder of ours, or a snapshot in the Hugging Face cache, whose files are links.

The cache's layout (https://huggingface.co/docs/huggingface_hub/guides/manage-cache): models--ORG--NAME has blobs/ with
the contents, snapshots/COMMIT/ with links to them, and refs/ with the commit of each branch.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Deletion(NamedTuple):
    """What would go with a folder."""

    paths: tuple[Path, ...]
    """Files and folders. None: the folder is not one that mlxq may delete, or it is not there."""
    freed_bytes: int


def planned(folder: Path, models: Path) -> Deletion:
    """What goes with a model's folder. models: where mlxq keeps folders of its own (MLXQ_DATA/models)."""
    if folder.is_dir() and folder.is_relative_to(models) and folder != models:
        return Deletion((folder,), _size_bytes(_files(folder)))
    repository = folder.parent.parent
    if not (folder.is_dir() and folder.parent.name == "snapshots" and repository.name.startswith("models--")):
        return Deletion((), 0)
    return _of_snapshot(folder, repository)


def delete(deletion: Deletion) -> None:
    """Raises OSError; what could be deleted until then is."""
    for path in deletion.paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _of_snapshot(folder: Path, repository: Path) -> Deletion:
    ours = {Path(os.path.realpath(link)) for link in _files(folder)}
    blobs = {blob for blob in ours if blob.is_relative_to(os.path.realpath(repository))}
    unshared = tuple(sorted(blobs - _needed_by_others(folder, repository.parent)))
    others = [each for each in folder.parent.iterdir() if each != folder]
    freed_bytes = _size_bytes(unshared)
    if not others and len(unshared) == len(blobs):
        locks = repository.parent / ".locks" / repository.name
        return Deletion((repository, locks) if locks.is_dir() else (repository,), freed_bytes)
    references = tuple(
        file for file in _files(repository / "refs") if file.read_text().strip() == folder.name
    )
    # Links first: a snapshot without its contents would be taken for a whole one.
    return Deletion((folder, *references, *unshared), freed_bytes)


def _needed_by_others(folder: Path, cache: Path) -> set[Path]:
    """Targets of the links in all other snapshots of the cache: repositories may share contents."""
    return {
        Path(os.path.realpath(file))
        for snapshot in cache.glob("*--*/snapshots/*")
        if snapshot != folder
        for file in _files(snapshot)
    }


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def _size_bytes(files: "Iterator[Path] | tuple[Path, ...]") -> int:
    """Of what deleting them frees: a file with another hard link frees nothing."""
    found = [file.lstat() for file in files]
    return sum(each.st_size for each in found if each.st_nlink == 1)
