"""The manifest's file: an SQLite database that one process writes and any number read."""

import contextlib
import sqlite3
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

VERSION = 1
"""Of the tables. A file of another version is refused, never changed."""

BUSY_S = 30
"""How long a write waits for another process's. Every one of ours is short."""

_TABLES = """
CREATE TABLE files (        -- what is known of the content of files, whatever collection they are in
    path BLOB PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    hashed_at_ns INTEGER NOT NULL,
    document TEXT NOT NULL  -- sha256 of the content, in hex
) WITHOUT ROWID;
CREATE INDEX files_by_document ON files (document);
CREATE TABLE paths (        -- where a collection's documents lie
    collection TEXT NOT NULL,
    path BLOB NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (collection, path)
) WITHOUT ROWID;
CREATE INDEX paths_by_document ON paths (collection, document);
CREATE TABLE path_problems (  -- files and folders of which not even the content is known
    collection TEXT NOT NULL,
    path BLOB NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (collection, path)
) WITHOUT ROWID;
CREATE TABLE replaced (     -- a file had this content, and has another one now
    collection TEXT NOT NULL,
    document TEXT NOT NULL,
    successor TEXT NOT NULL,
    PRIMARY KEY (collection, document)
) WITHOUT ROWID;
CREATE TABLE relisted (     -- the collection still has other paths of this document
    collection TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (collection, document)
) WITHOUT ROWID;
CREATE TABLE targets (      -- the one or two collections that one has in Qdrant
    id INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    kind TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (collection, kind)
);
CREATE TABLE documents (
    target INTEGER NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    document TEXT NOT NULL,
    state TEXT NOT NULL,    -- open, done, failed
    page_count INTEGER,     -- null: not known yet
    opened_at REAL NOT NULL,
    ended_at REAL,
    PRIMARY KEY (target, document)
) WITHOUT ROWID;
CREATE TABLE pages (        -- those that the store has acknowledged
    target INTEGER NOT NULL,
    document TEXT NOT NULL,
    page INTEGER NOT NULL,
    PRIMARY KEY (target, document, page),
    FOREIGN KEY (target, document) REFERENCES documents (target, document) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE problems (
    target INTEGER NOT NULL,
    document TEXT NOT NULL,
    page INTEGER NOT NULL,  -- 0: the document as a whole
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    is_warning INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (target, document, page, kind),
    FOREIGN KEY (target, document) REFERENCES documents (target, document) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    request TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    heartbeat_at REAL NOT NULL,
    ended_at REAL,
    state TEXT NOT NULL,
    progress BLOB NOT NULL
);
"""


class ManifestUnusable(Exception):
    """The manifest cannot be used; the message says what to do."""


class Database:
    """One connection, for any thread. Commits survive the end of our process, not always that of the machine: what is
    lost then is done again.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Makes the file unless read_only. Raises: ManifestUnusable, FileNotFoundError (read_only)."""
        self.path = path
        self._lock = threading.RLock()
        if read_only and not path.exists():
            raise FileNotFoundError(path)
        try:
            if not read_only:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA foreign_keys = ON")
            if read_only:
                self._connection.execute("PRAGMA query_only = ON")
            else:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
            self._check_version(make=not read_only)
        except FileNotFoundError:
            raise  # another process is about to make it
        except (sqlite3.Error, OSError) as error:
            raise ManifestUnusable(f"Cannot use the manifest {path}: {error}.") from error

    @classmethod
    def scratch(cls, path: Path) -> "Database":
        """What is in the file, in memory: what is written is lost. Raises: ManifestUnusable."""
        copy = cls(Path(":memory:"))
        with contextlib.suppress(FileNotFoundError), contextlib.closing(cls(path, read_only=True)) as there:
            there._connection.backup(copy._connection)
        return copy

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def write(self, statement: str, *values: Any) -> int:
        """Run one statement. Returns how many rows it changed."""
        with self.transaction():
            return self._connection.execute(statement, values).rowcount

    def write_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run one statement for each row, all in one transaction."""
        with self.transaction():
            self._connection.executemany(statement, rows)

    def insert(self, statement: str, *values: Any) -> int:
        """Returns the new row's id."""
        with self.transaction():
            return self._connection.execute(statement, values).lastrowid or 0

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """What is written in it is written together or not at all. They may be nested; the outermost counts."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _check_version(self, *, make: bool) -> None:
        with self.transaction() if make else contextlib.nullcontext():
            ((found,),) = self.read("PRAGMA user_version")
            if found == 0 and make:
                for statement in _TABLES.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")
            elif found == 0:
                self._connection.close()
                raise FileNotFoundError(self.path)
            elif found != VERSION:
                raise ManifestUnusable(
                    f"{self.path} was written by another version of mlxq (its tables are {found}, ours {VERSION}). Use "
                    "that version, or another folder with --data."
                )
