"""Why Redis cannot be used, in a few words without secrets; and outages, of which each is logged once."""

import contextlib
import errno
import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.sentinel import MasterNotFoundError

log = logging.getLogger(__name__)

LATE_S = 1.0
"""An error so soon after the end of an outage still belongs to that outage."""

RESTART_S = 2.0
"""A restart of Redis takes less time."""

DISK_FULL = "disk full"
NOT_ALLOWED = "its user may not do what mlxq needs"
SILENT = "it does not answer"
_UNREACHABLE, _MISMATCH = "not reachable", "TLS mismatch: "
_GONE = (SILENT, _UNREACHABLE, _MISMATCH)

_CODE = re.compile(
    r"\b(MISCONF|OOM|READONLY|NOREPLICAS|BUSY|MASTERDOWN|CLUSTERDOWN|LOADING|NOPERM|NOAUTH|WRONGPASS)\b"
)
_NOPERM = re.compile(
    r"ACL failure in script|The user executing the script can't"
)  # before Valkey and Redis had a code
_FULL = os.strerror(errno.ENOSPC)  # Redis quotes it
_NO_ROOM_BYTES = 1 << 20

_AUTHENTICATION = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)
_CAUSES = {
    "LOADING": "it is loading its data",
    "READONLY": "read-only replica",
    "OOM": "its memory is full",
    "NOREPLICAS": "it has too few replicas to take writes",
    "BUSY": "a script of somebody else holds it up",
    "MASTERDOWN": "it is a replica without its master",
    "CLUSTERDOWN": "its cluster is down",
}
_CODE_OF: dict[type[BaseException], str] = {
    exceptions.BusyLoadingError: "LOADING",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.OutOfMemoryError: "OOM",
}
_NO_WRITES = ("MISCONF", "OOM", "READONLY", "NOPERM", "NOREPLICAS", "BUSY", "MASTERDOWN", "CLUSTERDOWN")
_REFUSED = ("NOAUTH", "WRONGPASS", "NOPERM")


def is_final(error: BaseException) -> bool:
    """Whether trying again with the same user and password changes nothing."""
    return isinstance(error, _AUTHENTICATION) or _code(error) in _REFUSED


def is_refused_write(error: BaseException) -> bool:
    """Whether Redis refuses the write for a cause that lies in Redis and passes: a full disk or memory, a replica, a
    user's rights. The same write is taken when that is over.
    """
    return _code(error) in _NO_WRITES or isinstance(
        error, exceptions.OutOfMemoryError | exceptions.ReadOnlyError | exceptions.NoPermissionError
    )


def is_defect(error: BaseException) -> bool:
    """Whether Redis works and would refuse the same command again: for what is under a key, or an argument."""
    return isinstance(error, exceptions.ResponseError) and not (is_refused_write(error) or is_final(error))


def is_wrong_type(error: BaseException) -> bool:
    """Redis answers, but the key holds something else; a script's error names the reason in its middle."""
    return isinstance(error, exceptions.ResponseError) and "WRONGTYPE" in str(error)


def is_reply(error: BaseException) -> bool:
    """Whether the error is a reply of Redis: then the connection works."""
    return _code(error) is not None or isinstance(
        error, exceptions.ResponseError | exceptions.AuthenticationError
    )


def cause_of(error: BaseException, folder: Path | None = None) -> str:
    """Why Redis cannot be used. Of what the error says, nothing is quoted: it may name a user, or commands with their
    arguments. folder: of our own Redis, which tells whether its disk is full.
    """
    code = _code(error)
    if isinstance(error, _AUTHENTICATION) or code in _REFUSED:
        return _refusal(error, code)
    if code in _CAUSES:
        return _CAUSES[code]
    if code == "MISCONF":
        return _disk(str(error), folder)
    if "protected mode" in str(error):
        return "it is in protected mode and takes local connections only"
    if isinstance(error, exceptions.ResponseError):
        return "it refuses a command"
    return _of_connection(error)


def is_full(folder: Path) -> bool:
    """Whether the folder's disk has no room left."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _NO_ROOM_BYTES


def placed(cause: str, folder: Path | None) -> str:
    """For operators: with the folder whose disk is full."""
    return f"{cause}: {folder}" if folder and cause == DISK_FULL else cause


class Hold:
    """A write that waits until Redis takes it."""

    def __init__(self, outage: "Outage") -> None:
        self._outage = outage

    def note(self, error: BaseException) -> None:
        """Another try failed with this error."""
        self._outage.hold(self)
        self._outage.note(error)


class Outage:
    """Whether this process can use Redis. Any thread may report an error; the begin and the end of an outage are logged
    once each.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: of our own Redis."""
        self.folder = folder
        self.cause: str | None = None
        self._lock = threading.Lock()
        self._began_at = 0.0
        self._ended_at = float("-inf")
        self._is_logged = False
        self._held: set[Hold] = set()

    def note(self, error: BaseException) -> None:
        """A command failed with this error."""
        self.begin(cause_of(error, self.folder))

    @property
    def lasts_s(self) -> float:
        """0 while Redis can be used."""
        return 0.0 if self.cause is None else time.monotonic() - self._began_at

    @property
    def is_lasting(self) -> bool:
        """Whether Redis has not answered for longer than a restart takes."""
        return self.cause is not None and self.cause.startswith(_GONE) and self.lasts_s > RESTART_S

    @property
    def refuses_work(self) -> bool:
        """Whether no more work may be taken: Redis answers and refuses, or a write waits for it."""
        cause = self.cause
        return bool(self._held) or (cause is not None and not cause.startswith(_GONE))

    @contextlib.contextmanager
    def holding(self) -> Generator[Hold]:
        """For a write that is tried again and again. The outage lasts until it is taken, or given up."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self._held.discard(hold)

    def hold(self, write: Hold) -> None:
        """The write waits."""
        self._held.add(write)

    def begin(self, cause: str, since: float | None = None) -> None:
        """The cause: one of `cause_of`. since: by time.monotonic, when it was first met; now, if that is not known."""
        with self._lock:
            now = time.monotonic()
            if self.cause is None:
                self._began_at = now if since is None else since
            self.cause = cause
            if self._is_logged or now < self._ended_at + LATE_S:
                return
            self._is_logged = True
        log.error("Redis cannot be used: %s", placed(cause, self.folder))

    def end(self) -> None:
        """Redis takes reads and writes. A write that still waits will see that itself."""
        with self._lock:
            if self.cause is None or self._held:
                return
            self.cause = None
            if not self._is_logged:
                return
            self._is_logged = False
            self._ended_at = time.monotonic()
        log.warning("Redis can be used again", extra={"after_s": round(self._ended_at - self._began_at, 1)})


def _code(error: BaseException) -> str | None:
    """Redis's error code. redis-py has attributes for some; in a script's error it is in the middle of the message."""
    if not isinstance(error, exceptions.ResponseError | exceptions.ConnectionError):
        return None
    known = getattr(error, "status_code", None) or _CODE_OF.get(type(error))
    if known and known not in ("ERR", "EXECABORT"):  # which say nothing, and the text may
        return known
    if not isinstance(error, exceptions.ResponseError):
        return None
    if found := _CODE.search(str(error)):
        return found[1]
    return "NOPERM" if _NOPERM.search(str(error)) else None


def _refusal(error: BaseException, code: str | None) -> str:
    if code == "NOAUTH":
        return "it asks for a password and none was given"
    if isinstance(error, exceptions.NoPermissionError) or code == "NOPERM":
        return NOT_ALLOWED
    return "wrong user name or password"


def _disk(message: str, folder: Path | None) -> str:
    if _FULL in message or (folder is not None and is_full(folder)):
        return DISK_FULL
    return "it cannot write to its disk"


def _of_connection(error: BaseException) -> str:
    for each in _chain(error):
        match each:
            case ssl.SSLCertVerificationError():
                return "its certificate is not trusted"
            case ssl.SSLError():
                return f"{_MISMATCH}rediss:// is for ports with TLS, redis:// for those without"
            case ConnectionRefusedError():
                return f"{_UNREACHABLE}: connection refused"
            case FileNotFoundError():
                return f"{_UNREACHABLE}: no such socket"
            case socket.gaierror():
                return f"{_UNREACHABLE}: unknown host"
            case MasterNotFoundError() | AsyncMasterNotFoundError():
                return f"{_UNREACHABLE}: its sentinels name no master"
            case PermissionError():
                return f"{_UNREACHABLE}: no permission for its socket"
            case TimeoutError() | exceptions.TimeoutError():
                return SILENT
            case _:
                pass
    if "max number of clients" in str(error):
        return "it has too many clients"
    return f"{_UNREACHABLE}: it closes the connection" if "closed by server" in str(error) else _UNREACHABLE


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
