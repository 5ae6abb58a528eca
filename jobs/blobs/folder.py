"""Blobs as files of a folder that whoever sends jobs shares with the workers."""

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from jobs.blobs.blob import Blob
from jobs.content import BlobPart
from jobs.errors import BlobGone
from jobs.results.whole_file import UNFINISHED, write_whole

KEPT_S = 86_400
"""How long a blob lies there that nobody removes, because whoever sent it has died."""

_NAME = re.compile(r"[0-9a-f]{64}")


class BlobFolder:
    """Each file's time of modification is when it may go. Nothing is synced to the disk: what is lost is put again."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def put(self, blob: Blob) -> None:
        """The whole file or none. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        place, keep_until = self.path / blob.part.digest, time.time() + KEPT_S
        with contextlib.suppress(FileNotFoundError):
            if place.stat().st_size == blob.part.size_bytes:
                os.utime(place, (keep_until, keep_until))
                return
        unfinished = self.path / f"{blob.part.digest}-{secrets.token_hex(4)}{UNFINISHED}"
        write_whole(place, unfinished, blob.pieces, keep_until, synced=False)

    def read(self, part: BlobPart) -> bytes:
        """Its bytes. Raises BlobGone."""
        try:
            data = self._file(part.digest).read_bytes()
        except FileNotFoundError as error:
            if self.path.is_dir():
                raise BlobGone from error
            raise BlobGone(_cannot_read(self.path, error)) from error
        except OSError as error:
            raise BlobGone(_cannot_read(self.path, error)) from error
        if len(data) != part.size_bytes:  # the machine lost its power before the disk had all of it
            raise BlobGone
        return data

    def remove(self, digests: Iterable[str]) -> None:
        """They may be gone already. Raises OSError."""
        for digest in digests:
            self._file(digest).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what nobody has removed in time. Raises OSError."""
        if not self.path.is_dir():
            return
        now = time.time()
        for name in os.listdir(self.path):
            path = self.path / name
            if _NAME.fullmatch(name) or name.endswith(UNFINISHED):
                with contextlib.suppress(FileNotFoundError):
                    age_s = now - path.stat().st_mtime
                    if age_s > (KEPT_S if name.endswith(UNFINISHED) else 0):
                        path.unlink()

    def _file(self, digest: str) -> Path:
        if not _NAME.fullmatch(digest):  # a job's record may say anything
            raise BlobGone("The job names an image by what is no digest.")
        return self.path / digest


def _cannot_read(path: Path, error: OSError) -> str:
    return (
        f"An image of the job cannot be read in {path} ({error.strerror}): the workers and whoever sent the job need "
        "the same MLXQ_RESULTS, and the right to read there."
    )
