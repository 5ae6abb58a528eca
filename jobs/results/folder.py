"""The folder for large results, which API processes and workers share. It needs no memory of Redis."""

import contextlib
import os
import re
import time
from pathlib import Path

from jobs.results.whole_file import UNFINISHED, write_whole
from jobs.settings import Settings
from jobs.store.connection import own_folder

FILE_BYTES = 256 * 1024
"""Results over this size go into files, where there is a folder: syncing a file takes as long as a thousand jobs."""

KEPT_S = 86_400
"""How long the file of a result that is kept for ever is not looked at: its job is asked for from then on."""

_NAME = re.compile(r"(?P<job_id>[A-Za-z0-9_-]{1,64})\.[0-9a-z]{1,64}")


def results_folder(settings: Settings) -> "ResultFolder | None":
    """Where large results lie; None: in Redis."""
    if settings.results is not None:
        return ResultFolder(settings.results)
    own = own_folder(settings)
    return None if own is None else ResultFolder(own / "results")


def file_name(job_id: str, execution: str) -> str | None:
    """Of an execution's result, so that a stale one cannot replace a good one; None for an id that RQ's user has chosen
    and that can be no part of a file's name.
    """
    name = f"{job_id}.{execution}"
    return name if _NAME.fullmatch(name) else None


def job_of(name: str) -> str | None:
    """The id of the job whose result the file is. None: it is no result of ours."""
    found = _NAME.fullmatch(name)
    return found and found["job_id"]


class ResultFolder:
    """Each file's time of modification is when its result may go: so nobody has to keep a list of files."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._to_look_at: list[str] = []

    def write(self, name: str, data: bytes, ttl_s: int) -> None:
        """The whole file or none, on the disk before this returns. ttl_s: -1 for ever. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        keep_until = time.time() + (KEPT_S if ttl_s < 0 else ttl_s)
        write_whole(self.path / name, self.path / (name + UNFINISHED), [data], keep_until, synced=True)
        self._sync_listing()

    def read(self, name: str) -> bytes:
        """Raises OSError, ValueError for a name that is none of ours."""
        return self._file(name).read_bytes()

    def remove(self, name: str) -> None:
        """The file may be gone already. Raises OSError, ValueError for a name that is none of ours."""
        self._file(name).unlink(missing_ok=True)

    def overdue(self, most: int) -> list[str]:
        """Names of files whose time is over, among the next `most` files of the folder, in turns.

        What a writer that died has left is removed. Raises OSError where the folder cannot be read.
        """
        if not self._to_look_at and self.path.is_dir():
            self._to_look_at = os.listdir(self.path)
        now, found = time.time(), list[str]()
        names, self._to_look_at = self._to_look_at[:most], self._to_look_at[most:]
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                path = self.path / name
                may_go_at = path.stat().st_mtime
                if job_of(name) and may_go_at < now:
                    found.append(name)
                elif name.endswith(UNFINISHED) and may_go_at < now - KEPT_S:
                    path.unlink()
        return found

    def _file(self, name: str) -> Path:
        if job_of(name) is None:
            raise ValueError("This is no name of a result's file.")
        return self.path / name

    def _sync_listing(self) -> None:
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
