"""A folder that belongs to one process of ours: private to the user, locked, with a path for a Unix socket."""

import errno
import fcntl
import hashlib
import os
import socket
from pathlib import Path

SOCKET_PATH_BYTES = 103  # sun_path is 104 bytes with its final NUL on macOS, 108 on Linux


class FolderUnusable(Exception):
    """A folder that cannot be used; the message says why."""


class FolderInUse(FolderUnusable):
    """Another process holds the folder."""

    def __init__(self, path: Path, who: str, pid: int | None) -> None:
        stop = f"Stop it (kill {pid})" if pid else "Stop it"
        super().__init__(
            f"{path} is in use by {who} (pid {pid or 'unknown'}). {stop}, or choose another folder with --data."
        )


class PrivateFolder:
    """At most one process holds it at a time. Only `hold` touches the disk."""

    def __init__(self, path: Path, socket_name: str) -> None:
        self.path = path.absolute()
        self.socket = _socket_path(self.path, socket_name)
        self._lock: int | None = None

    def hold(self) -> None:
        """Make the folder and lock it. Raises: FolderInUse, FolderUnusable."""
        _make_private(self.path)
        _make_private(self.socket.parent)
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self.unusable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise FolderInUse(self.path, "mlxq", read_pid(self.path / "lock")) from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(handle)
            raise self.unusable(error) from error
        self._lock = handle  # the lock ends with our process, so there is never a stale one

    def release(self) -> None:
        """Gives up the lock that `hold` took, if there is one."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

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

    def unusable(self, error: OSError) -> FolderUnusable:
        """The error to raise where a file in it cannot be used."""
        return _unusable(self.path, error)


def read_pid(path: Path) -> int | None:
    """The process id that a file holds, if it holds one."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _socket_path(folder: Path, name: str) -> Path:
    """In the folder, or, where that path is too long for a socket, in a short private one under /tmp."""
    path = folder / name
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(f"/tmp/mlxq-{os.getuid()}-{digest}") / name


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise FolderUnusable(
                f"{folder} is a link or belongs to another user; choose another with --data."
            )
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> FolderUnusable:
    if error.errno == errno.ENOSPC:
        return FolderUnusable(f"disk full: {folder}")
    return FolderUnusable(f"Cannot use the folder {folder}: {error.strerror or error}")
