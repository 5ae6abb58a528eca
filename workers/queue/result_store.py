"""Where a worker puts results: small ones travel inside FINISH, large ones lie beside it, in a file or in Redis."""

import logging
from collections.abc import Collection, Sequence

import redis

from jobs.job import Result
from jobs.results.encoding import (
    INLINE_BYTES,
    ResultFile,
    ResultParts,
    encode_beside,
    encode_packed,
    encode_stored,
    parts_of,
)
from jobs.results.folder import FILE_BYTES, ResultFolder, file_name, job_of
from jobs.results.size import check_result
from jobs.settings import Settings
from jobs.store import keys, record
from workers.queue.execution import Claim, Outcome

log = logging.getLogger(__name__)

WAIT_S = 86_400
"""How long a result lies in Redis whose FINISH does not come; FINISH says anew how long it is kept."""

MAX_BYTES = Settings.model_fields["max_result_bytes"].default

FILES_AT_ONCE = 500
"""Files looked at in one sweep: there may be a hundred thousand."""


class ResultStore:
    """Results of one worker's executions. Raises RedisError. Any thread may call it, but `sweep` one alone."""

    def __init__(
        self, connection: redis.Redis, folder: ResultFolder | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        """folder: where large results lie; None: in Redis. max_bytes: of one result."""
        self._redis = connection
        self._folder = folder
        self._max_bytes = max_bytes
        self._beside: dict[str, ResultParts | ResultFile] = {}
        """Of executions that are not finished yet."""

    def store(self, claim: Claim, result: Result) -> bytes:
        """The result as FINISH takes it. May be repeated. Raises ResultTooLarge."""
        check_result(result, self._max_bytes)  # encoding it would take as much again
        packed = record.pack(result)
        check_result(result, self._max_bytes, packed)
        if len(packed) <= INLINE_BYTES:
            return encode_packed(packed)
        data = encode_beside(packed)
        where = self._write_file(claim, data) or self._write_parts(claim, data)
        self._beside[claim.execution] = where
        return encode_stored(where)

    def place(self, outcome: Outcome) -> str:
        """As FINISH takes it: in how many parts `store` has put the result into Redis, "" for none."""
        where = self._beside.get(outcome.claim.execution)
        return str(where.parts) if isinstance(where, ResultParts) else ""

    def note_finished(self, outcomes: Sequence[Outcome], stale: Collection[str]) -> None:
        """FINISH has been told of these. What lies beside those that were no longer ours, or failed after all, goes.

        stale: executions that were no longer ours, as Claim.member.
        """
        for each in outcomes:
            where = self._beside.pop(each.claim.execution, None)
            if where is not None and (each.kind != "finished" or each.claim.member in stale):
                self._remove(where)

    def sweep(self) -> None:
        """Remove files whose time is over and whose jobs are gone; some of the folder's at each call."""
        if self._folder is None:
            return
        try:
            names = self._folder.overdue(FILES_AT_ONCE)
            pipeline = self._redis.pipeline(transaction=False)
            for name in names:
                pipeline.exists(keys.job(job_of(name) or ""))
            for name, is_there in zip(names, pipeline.execute(), strict=True):
                if not is_there:
                    self._folder.remove(name)
        except OSError as error:
            log.warning("the folder for results cannot be cleaned", extra={"error": str(error)})

    def _write_file(self, claim: Claim, data: bytes) -> ResultFile | None:
        """None where it is not large enough, or cannot be written: then Redis takes it."""
        name = file_name(claim.id, claim.execution)
        if self._folder is None or name is None or len(data) <= FILE_BYTES:
            return None
        try:
            self._folder.write(name, data, claim.result_ttl_s)
        except OSError as error:
            log.warning(
                "a result cannot be written into its folder and goes to Redis",
                extra={"job_id": claim.id, "folder": str(self._folder.path), "error": error.strerror},
            )
            return None
        return ResultFile(name)

    def _write_parts(self, claim: Claim, data: bytes) -> ResultParts:
        key = keys.blob(claim.execution)
        count = 0
        for part in parts_of(data):  # one by one: each holds Redis up for a moment
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.hset(key, str(count), part)  # pyright: ignore[reportArgumentType]: bytes are a value, too
            pipeline.expire(key, WAIT_S)
            pipeline.execute()
            count += 1
        return ResultParts(key, count)

    def _remove(self, where: ResultParts | ResultFile) -> None:
        if isinstance(where, ResultParts):
            self._redis.unlink(where.key)
        elif self._folder is not None:
            try:
                self._folder.remove(where.name)
            except OSError as error:
                log.warning("a file of the results cannot be removed", extra={"error": str(error)})
