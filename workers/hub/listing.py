"""What a repository of the hub holds: its files with their sizes and checksums, at one commit."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import build_hf_headers, validate_repo_id

from workers.hub.problem import SERVER_ERROR, PullError, hub_error, no_revision

TRIES = 3
TRY_AGAIN_S = 0.3
TIMEOUT_S = 20.0

_COMMIT = re.compile("[0-9a-f]{40}")
_DIGESTS = {"sha256": re.compile("[0-9a-f]{64}"), "git": re.compile("[0-9a-f]{40}")}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository."""

    path: str
    """Relative, with slashes."""
    size_bytes: int
    digest: str
    """Hexadecimal: SHA-256 of the content for a file in LFS, else what git names the blob by. The cache names it so,
    too.
    """
    kind: Literal["sha256", "git"]


@dataclass(frozen=True, slots=True)
class Repository:
    """At one commit."""

    name: str
    """As it is called now, which may not be how it was asked for."""
    commit: str
    files: Mapping[str, RemoteFile]
    endpoint: str

    def url(self, file: RemoteFile) -> str:
        """Where the content is. Its redirects are short-lived: ask anew for each request."""
        return f"{self.endpoint}/{self.name}/resolve/{self.commit}/{quote(file.path)}"


def endpoint_of(endpoint: str | None) -> str:
    """The hub's address: this one, or HF_ENDPOINT, or the public hub."""
    return (endpoint or constants.ENDPOINT).rstrip("/")


def list_repository(name: str, revision: str | None, endpoint: str | None = None) -> Repository:
    """name: ORGANISATION/NAME. revision: a branch, tag or commit; None: main. Raises PullError."""
    endpoint = endpoint_of(endpoint)
    if revision is not None and not {"", ".", ".."}.isdisjoint(revision.split("/")):
        raise no_revision(name, revision)
    info = _ask(name, revision, endpoint)
    if not _COMMIT.fullmatch(info.sha or ""):
        raise _not_understood(name, "names no commit")
    try:
        validate_repo_id(info.id)
    except HFValidationError as error:
        raise _not_understood(name, f"calls the model {info.id!r}") from error
    files = [_file(sibling, name) for sibling in info.siblings or ()]
    return Repository(info.id, str(info.sha), {file.path: file for file in files}, endpoint)


def request_headers() -> dict[str, str]:
    """With this machine's token, if it has one. Content comes as it is, so that bytes can be counted."""
    return {**build_hf_headers(library_name="mlxq"), "Accept-Encoding": "identity"}


def _ask(name: str, revision: str | None, endpoint: str) -> ModelInfo:
    tried = 0
    while True:
        tried += 1
        try:
            return HfApi(endpoint=endpoint, library_name="mlxq").model_info(
                name, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        except (
            httpx2.HTTPError,
            ValueError,
        ) as error:  # HfHubHTTPError is the first, HFValidationError the second
            if tried == TRIES or not may_pass(error):
                raise hub_error(error, name, revision) from error
        except ConnectionError as error:  # offline by a variable
            raise hub_error(error, name, revision) from error
        time.sleep(TRY_AGAIN_S * tried**2)


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return status in (408, 429) or status >= SERVER_ERROR
    return isinstance(error, httpx2.TransportError)


def _file(sibling: Any, name: str) -> RemoteFile:
    """sibling: huggingface_hub's RepoSibling. Raises PullError where it could not be checked, or has no place."""
    path: str = sibling.rfilename
    if path.startswith("/") or "\\" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise _not_understood(name, f"names a file {path!r}")
    if sibling.lfs is not None:
        file = RemoteFile(path, sibling.lfs.size, sibling.lfs.sha256.lower(), "sha256")
    else:
        file = RemoteFile(path, sibling.size or 0, (sibling.blob_id or "").lower(), "git")
    if not _DIGESTS[file.kind].fullmatch(file.digest):
        raise _not_understood(name, f"tells no checksum of {path}")
    return file


def _not_understood(name: str, what: str) -> PullError:
    return PullError(
        "hub_refuses",
        f"The model hub {what} in its listing of {name}, which mlxq does not take.",
        "Set HF_ENDPOINT to another hub, or give a folder that holds the model.",
    )
