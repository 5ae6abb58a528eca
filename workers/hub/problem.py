"""Why a pull ends without a model, in sentences that say what to do."""

import errno
from pathlib import Path

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from jobs.errors import JobCanceled
from jobs.machines.commands import Progress

UNAUTHORISED, FORBIDDEN, TOO_MANY = 401, 403, 429
SERVER_ERROR = 500


class PullError(Exception):
    """The message says what is wrong (`problem`) and what to do (`hint`). `code` is for programs."""

    def __init__(self, code: str, problem: str, hint: str) -> None:
        super().__init__(f"{problem} {hint}")
        self.code = code
        self.problem = problem
        self.hint = hint

    def told(self) -> Progress:
        """As other processes learn it."""
        return Progress(error=self.problem, code=self.code, hint=self.hint)


class Canceled(PullError):
    """Somebody has ended the pull."""

    def __init__(self) -> None:
        super().__init__(
            JobCanceled.code,
            "The pull was canceled.",
            "What was downloaded is kept: pull again to go on from there.",
        )


def hub_error(error: Exception, name: str, revision: str | None) -> PullError:
    """What the hub's answer, or its silence, means for a pull of `name`."""
    match error:
        case GatedRepoError():  # before the class that it is made of
            return PullError(
                "gated",
                f"{name} is gated: its authors ask who uses it.",
                f"Open https://huggingface.co/{name} in a browser, accept the conditions, and log in here with "
                "`hf auth login`, or set HF_TOKEN.",
            )
        case RepositoryNotFoundError():
            return PullError(
                "not_found",
                f"The model hub has no model {name!r}, or it is private.",
                "Check the spelling (ORGANISATION/NAME). For a private model log in with `hf auth login`, or set "
                "HF_TOKEN.",
            )
        case RevisionNotFoundError():
            return no_revision(name, revision)
        case HFValidationError():
            return PullError(
                "bad_name", f"{name!r} is no name of a model.", "Give ORGANISATION/NAME as on the model hub."
            )
        case OfflineModeIsEnabled():
            return PullError(
                "offline",
                f"{name} is not on this machine, and HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids to ask the hub.",
                "Unset it, and pull again.",
            )
        case HfHubHTTPError():
            return _status_error(error, name)
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return disk_full(None)
        case httpx2.HTTPError():
            return PullError(
                "offline",
                f"{name} is not on this machine, and the model hub cannot be reached ({type(error).__name__}).",
                "Check the connection (HTTPS_PROXY, HF_ENDPOINT where a proxy or a mirror is used), and pull again: "
                "it goes on where it was.",
            )
        case OSError():
            return PullError(
                "cannot_write",
                f"{error.filename or 'A file of the cache'}: {error.strerror or error}.",
                "See to the folder's rights, or set HF_HOME to another folder, and pull again.",
            )
    raise error


def no_revision(name: str, revision: str | None) -> PullError:
    """The hub has the model, and not this branch, tag or commit of it."""
    return PullError(
        "no_revision",
        f"{name} has no revision {revision!r}.",
        f"Give a branch, a tag or a whole commit of https://huggingface.co/{name}/commits/main, or leave --revision "
        "out for the newest.",
    )


def _status_error(error: HfHubHTTPError, name: str) -> PullError:
    status = error.response.status_code
    if status in (UNAUTHORISED, FORBIDDEN):
        return PullError(
            "forbidden",
            f"The model hub refuses this machine's token for {name} ({status}).",
            "Log in anew with `hf auth login`, with a token that may read it; or unset HF_TOKEN where none is needed.",
        )
    if status == TOO_MANY:
        return PullError(
            "too_many_requests",
            "The model hub answers that there were too many requests (429).",
            "Wait some minutes and pull again; with `hf auth login` the limits are higher.",
        )
    if status >= SERVER_ERROR:
        return PullError(
            "hub_down",
            f"The model hub is out of order ({status}).",
            "Pull again later: it goes on where it was.",
        )
    return PullError(
        "hub_refuses",
        f"The model hub answers {status} for {name}.",
        "Look at the model's page for the reason.",
    )


def disk_full(folder: Path | None, needed_bytes: int = 0, free_bytes: int = 0) -> PullError:
    """folder: which disk, where that is known before."""
    if folder is None:
        return PullError(
            "disk_full",
            "The disk is full.",
            "Make room (`mlxq rm MODEL`, `hf cache prune`), and pull again: it goes on where it was.",
        )
    return PullError(
        "disk_full",
        f"{folder} has {readable(free_bytes)} free, and {readable(needed_bytes)} are needed.",
        "Make room (`mlxq rm MODEL`, `hf cache prune`), or set HF_HOME (for downloads) or MLXQ_DATA (for what is "
        "quantised) to a folder on a larger disk.",
    )


def readable(size_bytes: int) -> str:
    """In the units of disks: 1 GB is 10^9 bytes."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
