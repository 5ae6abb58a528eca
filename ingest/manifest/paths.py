"""Where documents lie, and what is known of files."""

import time
from collections.abc import Iterable, Mapping

from ingest.documents.problem import Problem
from ingest.manifest.database import Database
from ingest.manifest.generations import half_of
from ingest.manifest.path import opened_path, stored_path
from ingest.manifest.records import FileRecord


class PathRecords:
    """Paths are absolute, as the file system has them. Any thread may call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def files(self) -> dict[str, FileRecord]:
        """What was hashed, by path: of all collections."""
        rows = self._database.read("SELECT path, size_bytes, mtime_ns, hashed_at_ns, document FROM files")
        return {opened_path(path): FileRecord(*rest) for path, *rest in rows}

    def set_files(self, files: Mapping[str, FileRecord]) -> None:
        """Their content was read."""
        self._database.write_many(
            "INSERT OR REPLACE INTO files (path, size_bytes, mtime_ns, hashed_at_ns, document) VALUES (?, ?, ?, ?, ?)",
            [
                (stored_path(path), each.size_bytes, each.mtime_ns, each.hashed_at_ns, each.document)
                for path, each in files.items()
            ],
        )

    def documents(self, collection: str) -> dict[str, str]:
        """The document that each path of the collection has."""
        rows = self._database.read("SELECT path, document FROM paths WHERE collection = ?", collection)
        return {opened_path(path): document for path, document in rows}

    def paths(self, collection: str, document: str) -> list[str]:
        """Where the document lies, in order. Empty: nowhere any more."""
        rows = self._database.read(
            "SELECT path FROM paths WHERE collection = ? AND document = ? ORDER BY path", collection, document
        )
        return [opened_path(path) for (path,) in rows]

    def anywhere(self, document: str) -> list[str]:
        """Where the document lies, in whatever collection: to open it."""
        rows = self._database.read(
            "SELECT DISTINCT path FROM paths WHERE document = ? ORDER BY path", document
        )
        return [opened_path(path) for (path,) in rows]

    def set_paths(self, collection: str, documents: Mapping[str, str], gone: Iterable[str] = ()) -> None:
        """Paths with what lies there now, and paths where nothing lies any more.

        Documents that others have replaced are kept in mind (see `replaced`), and those that lie elsewhere now (see
        `relisted`).
        """
        rows = [(collection, stored_path(path), document) for path, document in documents.items()]
        lost = [(collection, stored_path(path)) for path in gone]
        with self._database.transaction():
            self._database.write_many(
                "INSERT OR REPLACE INTO replaced (collection, document, successor) "
                "SELECT collection, document, ?3 FROM paths WHERE collection = ?1 AND path = ?2 AND document <> ?3",
                rows,
            )
            self._relist(collection, [row[1] for row in (*rows, *lost)])
            self._database.write_many(
                "INSERT OR REPLACE INTO paths (collection, path, document) VALUES (?, ?, ?)", rows
            )
            for table in ("paths", "path_problems"):
                self._database.write_many(f"DELETE FROM {table} WHERE collection = ? AND path = ?", lost)
            self._relist(collection, [row[1] for row in rows])

    def relisted(self, collection: str) -> dict[str, list[str]]:
        """Documents whose paths the collection does not know yet, with those paths. Those that lie nowhere keep what it
        has.
        """
        rows = self._database.read(
            "SELECT r.document, s.path FROM relisted r JOIN paths s USING (collection, document) "
            "WHERE r.collection = ? ORDER BY r.document, s.path",
            collection,
        )
        found = dict[str, list[str]]()
        for document, path in rows:
            found.setdefault(document, []).append(opened_path(path))
        return found

    def told(self, collection: str, documents: Iterable[str]) -> None:
        """The collection knows the paths of these documents."""
        self._database.write_many(
            "DELETE FROM relisted WHERE collection = ? AND document = ?",
            [(collection, document) for document in documents],
        )

    def replaced(self, collection: str) -> list[str]:
        """Documents that lie nowhere, because their files have other content now, of which all is done: in each kind
        that is searched and has the old one.
        """
        searched = f"t.collection = ?1 AND t.kind NOT LIKE '{half_of('%', '%')}'"
        rows = self._database.read(
            "SELECT document FROM replaced r WHERE collection = ?1 "
            "AND NOT EXISTS (SELECT 1 FROM paths s WHERE s.collection = ?1 AND s.document = r.document) "
            "AND EXISTS (SELECT 1 FROM documents d JOIN targets t ON t.id = d.target "
            f"WHERE {searched} AND d.document = r.successor AND d.state = 'done') "
            "AND NOT EXISTS (SELECT 1 FROM documents d JOIN targets t ON t.id = d.target "
            f"WHERE {searched} AND d.document = r.successor AND d.state <> 'done') "
            "AND NOT EXISTS (SELECT 1 FROM documents d JOIN targets t ON t.id = d.target "
            f"WHERE {searched} AND d.document = r.document AND NOT EXISTS (SELECT 1 FROM documents s "
            "WHERE s.target = d.target AND s.document = r.successor))",
            collection,
        )
        return [document for (document,) in rows]

    def successors(self, collection: str) -> dict[str, str]:
        """What has taken the place of documents that lie nowhere, whether anything of it is done or not."""
        rows = self._database.read(
            "SELECT document, successor FROM replaced r WHERE collection = ?1 "
            "AND NOT EXISTS (SELECT 1 FROM paths s WHERE s.collection = ?1 AND s.document = r.document)",
            collection,
        )
        return dict(rows)

    def set_problems(self, collection: str, problems: Mapping[str, Problem], cleared: Iterable[str]) -> None:
        """Files and folders that could not be read, and those that can be now."""
        with self._database.transaction():
            self._database.write_many(
                "DELETE FROM path_problems WHERE collection = ? AND path = ?",
                [(collection, stored_path(path)) for path in cleared],
            )
            self._database.write_many(
                "INSERT OR REPLACE INTO path_problems (collection, path, kind, message, at) VALUES (?, ?, ?, ?, ?)",
                [
                    (collection, stored_path(path), each.kind, each.message, time.time())
                    for path, each in problems.items()
                ],
            )

    def problem_paths(self, collection: str) -> list[str]:
        """Where `set_problems` has left some."""
        rows = self._database.read("SELECT path FROM path_problems WHERE collection = ?", collection)
        return [opened_path(path) for (path,) in rows]

    def _relist(self, collection: str, paths: Iterable[bytes]) -> None:
        """The documents at these paths, as far as the collection may have something of them."""
        self._database.write_many(
            "INSERT OR IGNORE INTO relisted (collection, document) SELECT s.collection, s.document FROM paths s "
            "WHERE s.collection = ?1 AND s.path = ?2 AND EXISTS (SELECT 1 FROM documents d "
            "JOIN targets t ON t.id = d.target WHERE t.collection = ?1 AND d.document = s.document)",
            [(collection, path) for path in paths],
        )
