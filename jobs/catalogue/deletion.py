"""Deleting the files of a model: a folder of ours, or a snapshot in the Hugging Face cache, whose files are links.

The cache's layout (https://huggingface.co/docs/huggingface_hub/guides/manage-cache): models--ORG--NAME has blobs/ with
the contents, snapshots/COMMIT/ with links to them, and refs/ with the commit of each branch.
"""

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jobs.catalogue.marks import content_of, marked, unmark
from jobs.catalogue.pull_lock import held, lock_of
from jobs.errors import InvalidInput


class Deletion(NamedTuple):
    """What would go with a folder."""

    paths: tuple[Path, ...]
    """Files and folders. None: the folder is not one that mlxq may delete, or it is not there."""
    freed_bytes: int


def planned(folder: Path, models: Path, *, only_pulled: bool = False) -> Deletion:
    """What goes with a model's folder. models: where mlxq keeps folders of its own (MLXQ_DATA/models).

    only_pulled: what another tool downloaded stays.
    """
    if folder.is_dir() and folder.is_relative_to(models) and folder != models:
        return Deletion((folder,), _size_bytes(_files(folder)))
    repository = folder.parent.parent
    if not (folder.is_dir() and folder.parent.name == "snapshots" and repository.name.startswith("models--")):
        return Deletion((), 0)
    return _of_snapshot(folder, repository, only_pulled)


def delete(deletion: Deletion) -> None:
    """Within `unused`. Raises OSError; what could be deleted until then is."""
    blobs = [path for path in deletion.paths if path.parent.name == "blobs"]
    for repository in {path.parent.parent for path in blobs}:
        unmark(repository, [path.name for path in blobs if path.parent.parent == repository])
    for path in deletion.paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def unused(name: str, folder: Path) -> Generator[None]:
    """While a folder is deleted, nobody pulls or makes it. name: the model's. Raises InvalidInput, OSError."""

    def refuse(_: float) -> None:
        raise InvalidInput(
            f"{name} is being pulled at the moment: end that, or wait for it, and remove it then.",
            param="model",
        )

    with held(lock_of(folder), refuse):
        yield


def _of_snapshot(folder: Path, repository: Path, only_pulled: bool) -> Deletion:
    root = Path(os.path.realpath(repository))
    targets = {link: content_of(link) for link in _files(folder)}
    may_go = marked(repository) if only_pulled else {blob.name for blob in targets.values()}
    links = [link for link, blob in targets.items() if blob.name in may_go]
    blobs = {targets[link] for link in links if targets[link].is_relative_to(root)}
    unshared = tuple(sorted(blobs - _needed_by_others(folder, repository.parent)))
    freed_bytes = _size_bytes(unshared)
    if len(links) < len(targets):
        return Deletion((*links, *unshared), freed_bytes)
    others = [each for each in folder.parent.iterdir() if each != folder]
    # Parts of other commits, and what other tools have there, are none of this snapshot's.
    if not others and {*_files(root / "blobs")} == {*unshared}:
        return Deletion((folder, repository), freed_bytes)
    references = tuple(
        file for file in _files(repository / "refs") if file.read_text().strip() == folder.name
    )
    # Links first: a snapshot without its contents would be taken for a whole one.
    return Deletion((folder, *references, *unshared), freed_bytes)


def _needed_by_others(folder: Path, cache: Path) -> set[Path]:
    """Targets of the links in all other snapshots of the cache: repositories may share contents."""
    return {
        content_of(file)
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
