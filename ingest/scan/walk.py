"""Which files there are in folders."""

import os
import stat
from collections.abc import Callable, Sequence

import msgspec

from ingest.documents.problem import Problem
from ingest.scan.names import is_ignored_file, is_ignored_folder

STAT_EVERY = 256
"""Files between two calls of `on_progress`."""


class FoundFile(msgspec.Struct, frozen=True):
    """A regular file, or a link to one."""

    path: str
    """Absolute, as the file system has it: not always valid Unicode."""
    size_bytes: int
    mtime_ns: int
    inode: tuple[int, int]
    """Device and number: equal for links to one file."""


class Walk(msgspec.Struct, frozen=True):
    """What a walk has found."""

    files: tuple[FoundFile, ...]
    """In the order of their paths, root by root; none twice."""
    problems: dict[str, Problem]
    """By path: what is there and cannot be read."""
    unread: tuple[str, ...]
    """Folders of which nothing is known, because they could not be read. Files that were in them are not gone."""
    ignored: int
    """Files and folders with names of hidden or temporary ones."""


def walk(roots: Sequence[str], on_progress: Callable[[int], None] = lambda _: None) -> Walk:
    """Files below folders, and files named themselves. roots: absolute, and there.

    A folder is walked once, however many links lead to it; real folders come before links to them.
    """
    walker = _Walker(on_progress)
    for root in dict.fromkeys(roots):
        walker.add_root(root)
    return Walk(tuple(walker.files.values()), walker.problems, tuple(walker.unread), walker.ignored)


class _Walker:
    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self.files: dict[str, FoundFile] = {}
        self.problems: dict[str, Problem] = {}
        self.unread: list[str] = []
        self.ignored = 0
        self._on_progress = on_progress
        self._seen: set[tuple[int, int]] = set()  # folders

    def add_root(self, root: str) -> None:
        """What the user has named is not ignored, whatever it is called."""
        try:
            status = os.stat(root)
        except OSError as error:
            self._cannot_read(root, error)
            return
        if not stat.S_ISDIR(status.st_mode):
            self._add_file(root, status)
            return
        links = list[str]()
        self._add_folder(root, status, links)
        while links:
            path = links.pop(0)
            self._add_folder(path, os.stat(path), links)

    def _add_folder(self, root: str, status: os.stat_result, links: list[str]) -> None:
        """links: links to folders that were found are put there."""
        todo = [(root, _inode(status))]
        while todo:
            path, inode = todo.pop()
            if inode in self._seen:
                continue
            self._seen.add(inode)
            try:
                with os.scandir(path) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self._cannot_read(path, error)
                self.unread.append(path)
                continue
            folders = list[tuple[str, tuple[int, int]]]()
            for entry in found:
                self._add_entry(entry, folders, links)
            todo += reversed(folders)

    def _add_entry(
        self, entry: os.DirEntry[str], folders: list[tuple[str, tuple[int, int]]], links: list[str]
    ) -> None:
        if entry.name.startswith("."):
            self.ignored += 1
            return
        try:
            status = entry.stat()
        except OSError as error:
            if not is_ignored_file(entry.name):
                self._cannot_read(entry.path, error, is_link=entry.is_symlink())
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        if is_ignored_folder(entry.name) if is_folder else is_ignored_file(entry.name):
            self.ignored += 1
        elif not is_folder:
            self._add_file(entry.path, status)
        elif entry.is_symlink():
            links.append(entry.path)
        else:
            folders.append((entry.path, _inode(status)))

    def _add_file(self, path: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            self.problems[path] = Problem(
                "not_a_file", "It is a pipe, socket or device, which has no end. It is left out."
            )
        elif status.st_size == 0:
            self.problems[path] = Problem(
                "empty", "The file is empty. If it is still being written, ingest again."
            )
        else:
            self.files[path] = FoundFile(path, status.st_size, status.st_mtime_ns, _inode(status))
            if len(self.files) % STAT_EVERY == 0:
                self._on_progress(len(self.files))

    def _cannot_read(self, path: str, error: OSError, *, is_link: bool = False) -> None:
        if is_link:
            problem = Problem(
                "dangling", "The link leads nowhere, or in a circle. Remove it, or restore its target."
            )
        elif isinstance(error, FileNotFoundError):
            return  # it was removed after its folder was read
        else:
            problem = unreadable(error)
        self.problems[path] = problem


def unreadable(error: OSError) -> Problem:
    """The problem of a file or folder that the system does not let us read."""
    why = error.strerror or type(error).__name__
    if isinstance(error, PermissionError):
        return Problem("unreadable", f"{why}: give this user the right to read it, and ingest again.")
    return Problem("unreadable", f"{why}: see whether its disk is healthy and mounted, and ingest again.")


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
