"""What the content of files is: read where the file may have changed since it was read last."""

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import msgspec

from ingest.documents.problem import Problem
from ingest.manifest.records import FileRecord
from ingest.scan.walk import FoundFile, unreadable
from jobs.process.processor import cores

RACY_NS = 2_000_000_000
"""A file that was read so soon after its last change may have changed again without another time: the coarsest file
systems count in steps of two seconds.
"""

BLOCK_BYTES = 1 << 20
SAVED_AFTER_S = 2.0

CHANGING = Problem(
    "changing", "It is still being written. Ingest again when that is done, or leave --watch running."
)


class HashProgress:
    """Counts up from other threads; read it whenever you like."""

    def __init__(self) -> None:
        self.files_total = 0
        self.bytes_total = 0
        self.files_done = 0
        self.bytes_done = 0


class Hashed(msgspec.Struct, frozen=True):
    """What was read."""

    documents: dict[str, str]
    """By path, in the order of the files: the SHA-256 of the content, in hex."""
    problems: dict[str, Problem]


class Stopped(Exception):
    """The caller has asked to stop; what was read by then is saved."""


def is_known(found: FoundFile, record: FileRecord | None) -> bool:
    """Whether the content must still be the one that was read then."""
    return (
        record is not None
        and (record.size_bytes, record.mtime_ns) == (found.size_bytes, found.mtime_ns)
        and record.mtime_ns + RACY_NS < record.hashed_at_ns
    )


def hash_files(
    files: Sequence[FoundFile],
    known: Mapping[str, FileRecord],
    save: Callable[[Mapping[str, FileRecord]], None],
    progress: HashProgress,
    stop: threading.Event,
    threads: int = min(4, cores()),
) -> Hashed:
    """save: gets what was read, now and then. Links to one file are read once. Raises: Stopped."""
    documents = {
        each.path: known[each.path].document for each in files if is_known(each, known.get(each.path))
    }
    problems = dict[str, Problem]()
    todo = dict[tuple[int, int], list[str]]()
    sizes = dict[tuple[int, int], int]()
    for each in files:
        if each.path not in documents:
            todo.setdefault(each.inode, []).append(each.path)
            sizes[each.inode] = each.size_bytes
    progress.files_total, progress.bytes_total = len(todo), sum(sizes.values())
    unsaved = dict[str, FileRecord]()
    saved_at = time.monotonic()
    pool = ThreadPoolExecutor(threads, "hash")
    try:
        futures = {pool.submit(_hash_file, paths[0], progress, stop): paths for paths in todo.values()}
        for future in as_completed(futures):
            outcome = future.result()
            for path in futures[future]:
                if isinstance(outcome, Problem):
                    problems[path] = outcome
                else:
                    documents[path] = outcome.document
                    unsaved[path] = outcome
            if time.monotonic() - saved_at > SAVED_AFTER_S:
                save(unsaved)
                unsaved, saved_at = {}, time.monotonic()
    finally:
        stop_was_set = stop.is_set()
        pool.shutdown(cancel_futures=True)
        if unsaved:
            save(unsaved)
    if stop_was_set:
        raise Stopped
    return Hashed({each.path: documents[each.path] for each in files if each.path in documents}, problems)


def _hash_file(path: str, progress: HashProgress, stop: threading.Event) -> FileRecord | Problem:
    hashed_at_ns = time.time_ns()
    digest = hashlib.sha256()
    try:
        # Not blocking: it may have become a pipe since the walk.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                return CHANGING
            while block := file.read(BLOCK_BYTES):
                if stop.is_set():
                    raise Stopped
                digest.update(block)
                progress.bytes_done += len(block)
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        return CHANGING
    except OSError as error:
        return unreadable(error)
    finally:
        progress.files_done += 1
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return CHANGING
    return FileRecord(after.st_size, after.st_mtime_ns, hashed_at_ns, digest.hexdigest())
