"""Files that are there whole or not at all. Their time of modification is when they may go."""

import os
from collections.abc import Iterable
from pathlib import Path

UNFINISHED = ".part"
"""How the name of a file ends that is being written, or whose writer has died."""


def write_whole(
    place: Path, unfinished: Path, pieces: Iterable[bytes], keep_until: float, *, synced: bool
) -> None:
    """unfinished: in the same folder, ending with UNFINISHED. keep_until: in seconds since the epoch.

    synced: its content is on the disk before it is there. Raises OSError.
    """
    try:
        with unfinished.open("wb") as file:
            file.writelines(pieces)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.utime(unfinished, (keep_until, keep_until))
        unfinished.replace(place)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
