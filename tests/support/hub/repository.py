"""What the stand-in hub holds: repositories with files, made up or from a folder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

BLOCK_BYTES = 1_000_003
"""A prime: bytes that are put at a wrong place are noticed."""


class Made:
    """So many bytes that are never all in memory."""

    def __init__(self, size_bytes: int, seed: int = 0) -> None:
        self.size_bytes = size_bytes
        self._block = Random(seed).randbytes(min(BLOCK_BYTES, max(1, size_bytes)))

    def read(self, start: int, length: int) -> bytes:
        end = min(start + length, self.size_bytes)
        first = start - start % len(self._block)
        count = -(-(end - first) // len(self._block))
        return (self._block * max(0, count))[start - first : max(0, end - first)]

    @cached_property
    def sha256(self) -> str:
        found = hashlib.sha256()
        for start in range(0, self.size_bytes, 4 * BLOCK_BYTES):
            found.update(self.read(start, 4 * BLOCK_BYTES))
        return found.hexdigest()


@dataclass
class HubFile:
    content: bytes | Made
    lfs: bool

    @property
    def size_bytes(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.size_bytes

    def read(self, start: int, length: int) -> bytes:
        if isinstance(self.content, Made):
            return self.content.read(start, length)
        return self.content[start : start + length]

    @cached_property
    def git(self) -> str:
        body = self.content if isinstance(self.content, bytes) else self.sha256.encode()
        return hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()

    @cached_property
    def sha256(self) -> str:
        return (
            self.content.sha256
            if isinstance(self.content, Made)
            else hashlib.sha256(self.content).hexdigest()
        )

    @property
    def digest(self) -> str:
        """How the hub, and the cache, call the content."""
        return self.sha256 if self.lfs else self.git


@dataclass
class HubRepository:
    files: dict[str, HubFile]
    gated: bool = False
    """The listing is for all, and files for those with a token."""
    revisions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Branches and tags besides main, with the commits that they name."""

    @cached_property
    def commit(self) -> str:
        names = "".join(f"{path}{file.digest}" for path, file in self.files.items())
        return hashlib.sha1(names.encode()).hexdigest()

    def commit_of(self, revision: str) -> str | None:
        return {"main": self.commit, self.commit: self.commit, **self.revisions}.get(revision)


def repository(files: Mapping[str, bytes | Made], *, gated: bool = False) -> HubRepository:
    """Weights are in LFS, the rest is not."""
    return HubRepository(
        {path: HubFile(content, path.endswith((".safetensors", ".bin"))) for path, content in files.items()},
        gated=gated,
    )


def of_folder(folder: Path) -> HubRepository:
    """All files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return repository({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
