"""The private folder of a Redis of our own: its lock, its socket, who uses it."""

import errno
import fcntl
import hashlib
import os
import socket
from pathlib import Path
from urllib.parse import quote

SOCKET_PATH_BYTES = 103  # sun_path is 104 bytes with its final NUL on macOS, 108 on Linux


class RedisServerError(Exception):
    """Redis could not be started."""


class DataFolderInUse(RedisServerError):
    """Another process uses the data folder."""


class DataFolder:
    """A folder that at most one process holds at a time. Only `hold` touches the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log = self.path / "redis.log"
        self.socket = _socket_path(self.path)
        self.url = f"unix://{quote(str(self.socket))}"
        self._lock: int | None = None

    def hold(self) -> None:
        """Make the folder, private to this user, and lock it.

        Raises: DataFolderInUse, RedisServerError where the folder cannot be used.
        """
        _make_private(self.path)
        _make_private(self.socket.parent)
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise self._in_use("mlxq", _read_pid(self.path / "lock")) from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(handle)
            raise self._unusable(error) from error
        self._lock = handle  # the lock ends with our process, so there is never a stale one

    def release(self) -> None:
        """Gives up the lock that `hold` took, if there is one."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def note_server(self, pid: int) -> None:
        """Writes down the server's process id, which messages name. Raises: RedisServerError."""
        try:
            (self.path / "redis.pid").write_text(f"{pid}\n")
        except OSError as error:
            raise self._unusable(error) from error

    def served_by_other(self) -> DataFolderInUse:
        """The error to raise where a server that is not ours listens on the socket."""
        return self._in_use("a Redis server", _read_pid(self.path / "redis.pid"))

    def is_served(self) -> bool:
        """Whether a process listens on the socket; the file that a crash left behind refuses."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.socket))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError:
                return True
            return True

    def log_end(self) -> str:
        """The last five lines of the server's log under a heading; empty where there is no log."""
        lines = self.log.read_text(errors="replace").splitlines()[-5:] if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *lines]) if lines else ""

    def _unusable(self, error: OSError) -> RedisServerError:
        if error.errno == errno.ENOSPC:
            return RedisServerError(f"disk full: {self.path}")
        return RedisServerError(f"Cannot use the folder {self.path}: {error.strerror}")

    def _in_use(self, who: str, pid: int | None) -> DataFolderInUse:
        stop = f"Stop it (kill {pid})" if pid else "Stop it"
        return DataFolderInUse(
            f"{self.path} is in use by {who} (pid {pid or 'unknown'}). "
            f"{stop}, or choose another folder with --data."
        )


def _socket_path(folder: Path) -> Path:
    """In the folder, or, where that path is too long for a socket, in a short private one under /tmp."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(f"/tmp/mlxq-{os.getuid()}-{name}") / "redis.sock"


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise RedisServerError(
                f"{folder} is a link or belongs to another user; choose another with --data."
            )
        folder.chmod(0o700)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise RedisServerError(f"disk full: {folder}") from error
        raise RedisServerError(f"Cannot use the folder {folder}: {error}") from error


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
