"""One file from the hub: with HTTP ranges, so that it goes on where an earlier process was, and checked at its end."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
from huggingface_hub.utils import get_session, hf_raise_for_status

from workers.hub.cache import CachedRepository
from workers.hub.listing import RemoteFile, may_pass, request_headers
from workers.hub.problem import PullError, hub_error
from workers.hub.reporter import DIGEST_CHARACTERS, Reporter

PIECE_BYTES = 1024**2
"""Read from the disk at a time."""

PARTIAL_CONTENT = 206
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Patience:
    """When a connection is given up, and how often another one is tried."""

    connect_s: float = 10.0
    stall_s: float = 20.0
    """A connection that brings fewer than slow_bytes in this time is replaced by another."""
    slow_bytes: int = 64 * 1024
    tries: int = 8
    """In a row that bring nothing. One that brings bytes starts the count anew, so a slow line is never given up."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 15.0
    range_bytes: int = 8 * 1024**3
    """Asked for at a time: the hub's network refuses answers of more than 50 GB."""

    def pause_s(self, tried: int) -> float:
        """After so many tries in a row, at least one."""
        return min(self.longest_pause_s, self.first_pause_s * 2 ** (tried - 1))


class _Stalled(httpx2.TransportError):
    """Almost nothing comes."""


class _NotWhole(httpx2.TransportError):
    """The connection ended before the file did."""


class Download:
    """Of one file into the cache. `run` may be called where a part or all of it is there."""

    def __init__(
        self, cached: CachedRepository, file: RemoteFile, progress: Reporter, patience: Patience
    ) -> None:
        self._cached = cached
        self._file = file
        self._progress = progress
        self._patience = patience

    def run(self) -> None:
        """Returns when the whole file, checked, is in its place. Raises PullError.

        A file that is there is read and checked, too: other tools take a wrong one of the right size for right.
        """
        blob, part = self._cached.blob(self._file), self._cached.part(self._file)
        if blob.is_file():
            if self._is_right(blob):
                part.unlink(missing_ok=True)
                self._tell(self._file.size_bytes)
                return
            blob.unlink()
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self._fetch(part) or self._fetch(part):  # once more from its beginning
                part.replace(blob)
                return
        except OSError as error:
            raise hub_error(error, self._cached.repository.name, None) from error
        raise PullError(
            "checksum",
            f"{self._file.path} of {self._cached.repository.name} came twice with another checksum than the hub's "
            f"own ({self._file.kind} {self._file.digest[:DIGEST_CHARACTERS]}…).",
            "Something on the way changes it: check the proxy or the mirror (HTTPS_PROXY, HF_ENDPOINT), and the disk.",
        )

    def _fetch(self, part: Path) -> bool:
        """Whether the part is now the right file; a wrong one is removed. Raises PullError, OSError."""
        found = self._hash()
        with part.open("ab", buffering=0) as written:
            if written.tell() > self._file.size_bytes:
                written.truncate(0)
            with part.open("rb") as there:
                have = self._add_to(found, there)
            tried = 0
            while have < self._file.size_bytes:
                self._tell(have)
                before = have
                try:
                    for piece in self._pieces(have, written, found):
                        have += piece
                        self._tell(have)
                except httpx2.HTTPError as error:
                    if not may_pass(error):
                        raise hub_error(error, self._cached.repository.name, None) from error
                    have, found = self._read_back(part, have, found)
                    tried = 1 if have > before else tried + 1
                    if tried > self._patience.tries:
                        raise hub_error(error, self._cached.repository.name, None) from error
                    self._progress.pause(self._patience.pause_s(tried))
            os.fsync(written.fileno())
        if found.hexdigest() == self._file.digest:
            self._tell(self._file.size_bytes)
            return True
        part.unlink()
        return False

    def _pieces(self, have: int, written: BinaryIO, found: Any) -> Iterator[int]:
        """Appends what one request brings after the first `have` bytes; yields the sizes. Raises httpx2.HTTPError."""
        last = min(have + self._patience.range_bytes, self._file.size_bytes) - 1
        patience = self._patience
        with get_session().stream(
            "GET",
            self._cached.repository.url(self._file),
            headers={**request_headers(), "Range": f"bytes={have}-{last}"},
            timeout=httpx2.Timeout(patience.stall_s, connect=patience.connect_s),
            follow_redirects=True,
        ) as response:
            if response.status_code >= 400:
                response.read()
            hf_raise_for_status(response)
            skip = have - _starts_at(response)
            if skip < 0:
                raise _NotWhole("the answer begins too late")
            window_start, window_bytes = time.monotonic(), 0
            for piece in response.iter_bytes():
                self._progress.check()
                fresh = piece[skip:]  # an answer without ranges begins at the file's beginning
                skip = max(0, skip - len(piece))
                fresh = fresh[: self._file.size_bytes - have]
                if fresh:
                    _write_all(written, fresh)
                    found.update(fresh)
                    have += len(fresh)
                    yield len(fresh)
                window_bytes += len(piece)
                if time.monotonic() - window_start > patience.stall_s:
                    if window_bytes < patience.slow_bytes and have <= last:
                        raise _Stalled(f"{window_bytes} bytes in {patience.stall_s:.0f} s")
                    window_start, window_bytes = time.monotonic(), 0
        if have <= last:
            raise _NotWhole(f"the connection ended after {have} of {self._file.size_bytes} bytes")

    def _read_back(self, part: Path, have: int, found: Any) -> tuple[int, Any]:
        """What is on the disk counts: a piece may be there and not be hashed."""
        if part.stat().st_size == have:
            return have, found
        found = self._hash()
        with part.open("rb") as there:
            return self._add_to(found, there), found

    def _is_right(self, path: Path) -> bool:
        if path.stat().st_size != self._file.size_bytes:
            return False
        found = self._hash()
        with path.open("rb") as opened:
            self._add_to(found, opened)
        return found.hexdigest() == self._file.digest

    def _add_to(self, found: Any, opened: BinaryIO) -> int:
        """Bytes read."""
        read = 0
        while piece := opened.read(PIECE_BYTES):
            self._progress.check()
            found.update(piece)
            read += len(piece)
            self._tell(read)
        return read

    def _hash(self) -> Any:
        if self._file.kind == "sha256":
            return hashlib.sha256()
        # How git names a blob, which is no protection against anybody who means harm: it is the hub's own checksum.
        return hashlib.sha1(f"blob {self._file.size_bytes}\0".encode(), usedforsecurity=False)

    def _tell(self, have: int) -> None:
        self._progress.at(self._file, have)


def _starts_at(response: httpx2.Response) -> int:
    """Where in the file the answer begins. Raises httpx2.TransportError for an answer that does not say so."""
    if response.status_code != PARTIAL_CONTENT:
        return 0
    told = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if told is None:
        raise _NotWhole("the answer does not say which part of the file it is")
    return int(told[1])


def _write_all(written: BinaryIO, data: bytes) -> None:
    """A raw file may take less than all."""
    view = memoryview(data)
    while view:
        view = view[written.write(view) :]
