"""A look at folders: what is there, what it is, and what is to be done about it."""

import threading
import time
from collections.abc import Sequence

import msgspec

from ingest.documents.problem import Problem
from ingest.manifest.manifest import Manifest
from ingest.manifest.paths import PathRecords
from ingest.scan.hashing import HashProgress, hash_files
from ingest.scan.plan import Folders, Found, Known, Plan, make_plan
from ingest.scan.walk import FoundFile, walk


class Scan(msgspec.Struct, frozen=True):
    """What a look at the folders has shown. As yet only the files' digests are written down."""

    roots: tuple[str, ...]
    files: dict[str, FoundFile]
    documents: dict[str, str]
    """By path: what each file holds."""
    problems: dict[str, Problem]
    """By path: files and folders that cannot be read."""
    ignored: int
    fresh: tuple[str, ...]
    """Files that may still be being written: they are left for a later look."""
    plan: Plan

    @property
    def empty_roots(self) -> tuple[str, ...]:
        """Folders that hold nothing any more, but did: perhaps a disk that is not mounted."""
        return tuple(
            root
            for root in self.roots
            if any(Folders([root]).hold(path) for path in (*self.plan.gone, *self.plan.unlisted))
            and not any(Folders([root]).hold(path) for path in self.files)
        )


class ScanProgress:
    """Counts up from other threads; read it whenever you like."""

    def __init__(self) -> None:
        self.found = 0
        self.hashing = HashProgress()


class Scanner:
    """For one collection. Any thread may call; a call takes as long as reading what is new takes."""

    def __init__(self, manifest: Manifest, paths: PathRecords, collection: str) -> None:
        self._manifest = manifest
        self._paths = paths
        self._collection = collection

    def scan(
        self,
        roots: Sequence[str],
        kinds: Sequence[str],
        *,
        retried: frozenset[str] | None = frozenset(),
        settle_s: float = 0,
        progress: ScanProgress | None = None,
        stop: threading.Event | None = None,
    ) -> Scan:
        """roots: absolute. kinds, retried: see make_plan. settle_s: for how long a file must not have changed.

        Raises: Stopped.
        """
        progress = progress or ScanProgress()

        def count(found: int) -> None:
            progress.found = found

        seen = walk(roots, count)
        progress.found = len(seen.files)
        fresh = {each.path for each in seen.files if 0 <= time.time() - each.mtime_ns / 1e9 < settle_s}
        hashed = hash_files(
            [each for each in seen.files if each.path not in fresh],
            self._paths.files(),
            self._paths.set_files,
            progress.hashing,
            stop or threading.Event(),
        )
        problems = {**seen.problems, **hashed.problems}
        unread = {*seen.unread, *fresh, *(path for path, each in problems.items() if each.kind != "dangling")}
        found = Found(tuple(roots), hashed.documents, tuple(sorted(unread)))
        known = Known(
            self._paths.documents(self._collection), tuple(self._manifest.documents(self._collection))
        )
        plan = make_plan(found, known, kinds, retried=retried)
        files = {each.path: each for each in seen.files}
        late = tuple(sorted(fresh))
        return Scan(tuple(roots), files, hashed.documents, problems, seen.ignored, late, plan)

    def write_down(self, scan: Scan) -> None:
        """The paths, and what could not be read. What was found is to be ingested next."""
        folders = Folders(scan.roots)
        cured = [
            path
            for path in self._paths.problem_paths(self._collection)
            if path not in scan.problems and folders.hold(path)
        ]
        self._paths.set_paths(self._collection, scan.plan.listed, scan.plan.unlisted)
        self._paths.set_problems(self._collection, scan.problems, cured)
