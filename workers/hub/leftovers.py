"""What killed downloads left in the cache."""

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from jobs.catalogue.marks import unmark
from workers.hub.cache import PART, STAGING

HF_INCOMPLETE = re.compile(r".+\.[0-9a-f]{8}\.incomplete")
"""With the name that one try of huggingface_hub made up. One without it is what its older releases go on with."""
HF_KEPT_S = 86_400
OURS_KEPT_S = 7 * 86_400
"""A part of ours is what the next pull goes on with."""


def sweep(cache: Path, now: float | None = None) -> int:
    """Removes what nobody will finish, by its age; returns the bytes freed. now: seconds since the epoch."""
    now = time.time() if now is None else now
    freed = 0
    for path in _leftovers(cache, now):
        with contextlib.suppress(OSError):
            size_bytes = path.stat().st_size
            if path.name.endswith(PART):
                # Where the file is there, another tool downloaded it.
                unmark(path.parent.parent, [path.name.removesuffix(PART)])
            path.unlink()
            freed += size_bytes
    for folder in cache.glob(f"models--*/snapshots/{STAGING}*"):
        with contextlib.suppress(OSError):
            if now - folder.stat().st_mtime > HF_KEPT_S:
                shutil.rmtree(folder)
    return freed


def _leftovers(cache: Path, now: float) -> Iterator[Path]:
    for path in cache.glob("models--*/blobs/*.incomplete"):
        ours = path.name.endswith(PART)
        if not ours and not HF_INCOMPLETE.fullmatch(path.name):
            continue
        with contextlib.suppress(OSError):
            age_s = now - path.lstat().st_mtime
            is_done = ours and path.with_name(path.name.removesuffix(PART)).exists()
            if is_done or age_s > (OURS_KEPT_S if ours else HF_KEPT_S):
                yield path
