"""Folders of quantised models while they are made, beside where they will be: NAME, and what killed processes left.

.NAME.new is filled. Then what was there becomes .NAME.old, .NAME.new becomes NAME, and .NAME.old goes.
"""

import contextlib
import shutil
from itertools import chain
from pathlib import Path

from jobs.catalogue.pull_lock import Busy, give_up, held, lock_of


def new_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.new")


def old_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def replace(target: Path) -> None:
    """By its new one. Raises OSError."""
    if target.exists():
        target.rename(old_of(target))
    new_of(target).rename(target)


def tidy(target: Path) -> None:
    """What was there is there again, where it has no successor; all else goes. Within the lock. Raises OSError."""
    old = old_of(target)
    if old.is_dir() and not target.exists():
        old.rename(target)
    for folder in (new_of(target), old):
        shutil.rmtree(folder, ignore_errors=True)


def sweep(models: Path) -> None:
    """What killed processes left in a folder, and in those in it. One that lives holds its lock."""
    for left in [
        *chain.from_iterable(
            models.glob(f"{under}.*.{end}") for under in ("", "*/") for end in ("new", "old")
        )
    ]:
        target = left.with_name(left.name[1:-4])
        with contextlib.suppress(Busy, OSError), held(lock_of(target), give_up):
            tidy(target)
