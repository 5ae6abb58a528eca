"""Which contents in the Hugging Face cache mlxq downloaded, and not another tool: a list in the repository's folder.

A content is named before its first byte comes, so that a pull that is killed at any time leaves nothing unnamed.
"""

import os
from collections.abc import Collection
from pathlib import Path

MARK = ".mlxq-pulled"
"""In models--ORG--NAME, beside blobs/: other tools do not look at it."""


def marked(repository: Path) -> frozenset[str]:
    """The names of its blobs that mlxq downloaded. repository: models--ORG--NAME."""
    try:
        return frozenset((repository / MARK).read_text().split())
    except FileNotFoundError:
        return frozenset()


def mark(repository: Path, blobs: Collection[str]) -> None:
    """Raises OSError."""
    fresh = sorted(set(blobs) - marked(repository))
    if fresh:
        repository.mkdir(parents=True, exist_ok=True)
        with (repository / MARK).open("a") as opened:
            opened.writelines(f"{blob}\n" for blob in fresh)
            opened.flush()
            os.fsync(opened.fileno())


def unmark(repository: Path, blobs: Collection[str]) -> None:
    """Of what is deleted: another tool may download it again. Raises OSError."""
    before = marked(repository)
    left = before - set(blobs)
    if left != before:
        fresh = repository / f"{MARK}.new"
        fresh.write_text("".join(f"{blob}\n" for blob in sorted(left)))
        fresh.replace(repository / MARK)


def is_pulled(snapshot: Path) -> bool:
    """Whether mlxq downloaded all of a snapshot's files."""
    files = [path for path in snapshot.rglob("*") if not path.is_dir()]
    return {content_of(file).name for file in files} <= marked(snapshot.parent.parent)


def content_of(file: Path) -> Path:
    """What a link in a snapshot leads to, which may be a link itself to what all repositories share."""
    target = os.readlink(file) if file.is_symlink() else file.name
    return Path(os.path.abspath(os.path.join(os.path.realpath(file.parent), target)))
