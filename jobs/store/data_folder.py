"""The private folder of a Redis of our own: its socket, its log, who uses it."""

from pathlib import Path
from urllib.parse import quote

from jobs.process.private_folder import FolderInUse, FolderUnusable, PrivateFolder, read_pid


class RedisServerError(Exception):
    """Redis could not be started."""


class DataFolderInUse(RedisServerError):
    """Another process uses the data folder."""


class DataFolder:
    """A folder that at most one process holds at a time. Only `hold` touches the disk."""

    def __init__(self, path: Path) -> None:
        self._private = PrivateFolder(path, "redis.sock")
        self.path = self._private.path
        self.log = self.path / "redis.log"
        self.socket = self._private.socket
        self.url = f"unix://{quote(str(self.socket))}"

    def hold(self) -> None:
        """Make the folder, private to this user, and lock it.

        Raises: DataFolderInUse, RedisServerError where the folder cannot be used.
        """
        try:
            self._private.hold()
        except FolderInUse as error:
            raise DataFolderInUse(f"{error}") from error
        except FolderUnusable as error:
            raise RedisServerError(f"{error}") from error

    def release(self) -> None:
        """Gives up the lock that `hold` took, if there is one."""
        self._private.release()

    def note_server(self, pid: int) -> None:
        """Writes down the server's process id, which messages name. Raises: RedisServerError."""
        try:
            (self.path / "redis.pid").write_text(f"{pid}\n")
        except OSError as error:
            raise RedisServerError(f"{self._private.unusable(error)}") from error

    def served_by_other(self) -> DataFolderInUse:
        """The error to raise where a server that is not ours listens on the socket."""
        return DataFolderInUse(
            f"{FolderInUse(self.path, 'a Redis server', read_pid(self.path / 'redis.pid'))}"
        )

    def is_served(self) -> bool:
        """Whether a process listens on the socket; the file that a crash left behind refuses."""
        return self._private.is_served()

    def log_end(self) -> str:
        """The last five lines of the server's log under a heading; empty where there is no log."""
        lines = self.log.read_text(errors="replace").splitlines()[-5:] if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *lines]) if lines else ""
