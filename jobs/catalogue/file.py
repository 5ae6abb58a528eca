"""catalogue.json in the data folder: the one truth about a machine's models."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec

from jobs.catalogue.entry import Catalogue

VERSION = 1
"""Of the file. Raised with every change of its fields, so that an older mlxq never drops what it does not know."""

FILE_NAME = "catalogue.json"

Stamp = tuple[int, int, int]
"""Inode, time and size of the file: differs after each change."""


class CatalogueUnusable(Exception):
    """The file cannot be read or written; the message says what to do."""


class _Header(msgspec.Struct, frozen=True):
    version: int


class CatalogueFile:
    """Any number of processes may read and change it at the same time."""

    def __init__(self, data: Path) -> None:
        """data: the data folder (MLXQ_DATA). It is made by the first change."""
        self.path = data.absolute() / FILE_NAME

    def read(self) -> Catalogue:
        """All entries; none where there is no file. Raises CatalogueUnusable."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return Catalogue(VERSION)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            version = msgspec.json.decode(raw, type=_Header).version
            if version <= VERSION:
                return msgspec.json.decode(raw, type=Catalogue)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CatalogueUnusable(
                f"{self.path} is damaged ({error}). Repair it, or move it away: then mlxq knows only the models that "
                "MLXQ_MODELS names, and `mlxq pull` finds again what lies on this machine."
            ) from error
        raise CatalogueUnusable(
            f"{self.path} was written by a later mlxq (version {version}, this one knows {VERSION}). Upgrade mlxq."
        )

    def stamp(self) -> Stamp | None:
        """Whether the file has changed since another stamp, without reading it. None: there is no file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def update(self, change: Callable[[Catalogue], Catalogue]) -> Catalogue:
        """Replace the file by what `change` makes of it; nobody else changes it meanwhile.

        Returns what it made. Raises CatalogueUnusable, and what `change` raises; then the file stays as it was.
        """
        with self._locked():
            before = self.read()
            after = change(before)
            if after != before:
                self._write(msgspec.structs.replace(after, version=VERSION))
            return after

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        """The lock has a file of its own: the other one is replaced by each change."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, catalogue: Catalogue) -> None:
        try:
            text = msgspec.json.format(msgspec.json.encode(catalogue), indent=2)
            reads_back = msgspec.json.decode(text, type=Catalogue) == catalogue
        except (msgspec.MsgspecError, UnicodeError, OverflowError) as error:
            raise self._unwritable(f"{error}") from error
        if not reads_back:
            raise self._unwritable("it would be read as something else")
        new = self.path.with_suffix(".json.new")
        try:
            # One that a killed process left is overwritten: the lock is ours.
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as opened:
                opened.write(text + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
            new.replace(self.path)
        except OSError as error:
            raise self._unusable(error) from error

    def _unwritable(self, why: str) -> CatalogueUnusable:
        return CatalogueUnusable(f"{self.path} stays as it was: the change cannot be written ({why}).")

    def _unusable(self, error: OSError) -> CatalogueUnusable:
        return CatalogueUnusable(f"Cannot use {self.path}: {error.strerror or error}.")
