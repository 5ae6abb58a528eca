"""What a finished job left: its result, or from where it says that the result lies; and how all of it is freed."""

import asyncio
import logging
from typing import Any

import redis.asyncio

from jobs.errors import UnknownJob, UnreadableResult
from jobs.job import Result
from jobs.results.encoding import ResultFile, ResultParts, decode_beside, decode_stored
from jobs.results.folder import ResultFolder
from jobs.store.scripts import script

log = logging.getLogger(__name__)


class ResultReader:
    """Results of jobs, wherever they lie. folder: where workers put large ones; None: in Redis."""

    def __init__(self, redis: redis.asyncio.Redis, folder: ResultFolder | None) -> None:
        self._redis = redis
        self._folder = folder
        self._delete = redis.register_script(script("delete"))

    async def read(self, where: ResultParts | ResultFile) -> Result:
        """where: what RQ's return_value says. Raises UnknownJob where it has expired, UnreadableResult, RedisError."""
        if isinstance(where, ResultParts):
            return decode_beside(await self._read_parts(where))
        return decode_beside(await asyncio.to_thread(self._read_file, where.name))

    async def delete(self, job_id: str, stored: bytes | None) -> bool:
        """Frees all that is kept of an ended job: record, result, stream. False where it has not ended.

        stored: RQ's return_value, where there is one. Raises UnknownJob, RedisError.
        """
        try:
            where = decode_stored(stored) if stored else None
        except UnreadableResult:
            where = None  # whatever it is, it goes with the job
        verdict = await self._delete(args=[job_id, where.key if isinstance(where, ResultParts) else ""])
        if verdict == b"missing":
            raise UnknownJob
        if verdict != b"deleted":
            return False
        if isinstance(where, ResultFile) and self._folder is not None:
            try:
                await asyncio.to_thread(self._folder.remove, where.name)
            except (OSError, ValueError) as error:  # a worker's sweep removes it
                log.warning(
                    "a file of a deleted job cannot be removed", extra={"job_id": job_id, "error": str(error)}
                )
        return True

    async def _read_parts(self, where: ResultParts) -> bytes:
        parts: list[Any] = [await self._redis.hget(where.key, str(n)) for n in range(where.parts)]
        if None in parts:
            raise UnknownJob
        return b"".join(parts)

    def _read_file(self, name: str) -> bytes:
        if self._folder is None:
            raise UnreadableResult(
                "The job's result is a file in its worker's folder for results, and this API process has no such "
                "folder: start both with the same MLXQ_RESULTS."
            )
        try:
            return self._folder.read(name)
        except FileNotFoundError as error:
            if self._folder.path.is_dir():
                raise UnknownJob from error
            raise UnreadableResult(_cannot_read(self._folder, error)) from error
        except (OSError, ValueError) as error:
            raise UnreadableResult(_cannot_read(self._folder, error)) from error


def _cannot_read(folder: ResultFolder, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) else error
    return (
        f"The job's result is a file that cannot be read in {folder.path} ({why}): the workers and this API process "
        "need the same MLXQ_RESULTS, and the right to read there."
    )
