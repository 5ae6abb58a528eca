"""What was ingested: which documents, with which of their pages, are in which collections."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ingest.documents.problem import Problem
from ingest.manifest.database import Database
from ingest.manifest.generations import half_of
from ingest.manifest.path import opened_path, shown_path
from ingest.manifest.records import NOT_A_DOCUMENT, CollectionSummary, DocumentRecord, ProblemRecord
from jobs.settings import Settings


class FingerprintChanged(Exception):
    """The collection's vectors are of another making; the message says what to do."""

    def __init__(self, collection: str, kind: str, there: str, wanted: str) -> None:
        super().__init__(
            f"The {kind} vectors of the collection {collection!r} were made as {there!r}, and these would be made as "
            f"{wanted!r}: they cannot be compared. Ingest with the same model and settings, or into another "
            "collection (--into NEW), or make all of them anew while the old ones are searched: "
            f"mlxq ingest reembed -c {collection} --{kind}"
        )
        self.there = there


def manifest_path(settings: Settings) -> Path:
    """Where the manifest lies; it may not be there yet. Every store has one of its own."""
    if settings.qdrant_url is None:
        return settings.data / "ingest" / "manifest.sqlite"
    address = urlsplit(settings.qdrant_url)
    digest = hashlib.sha256(f"{address.hostname}:{address.port}{address.path}".encode()).hexdigest()[:12]
    return settings.data / "ingest" / f"manifest-{digest}.sqlite"


_IS_NONE = (
    "EXISTS (SELECT 1 FROM problems p WHERE p.target = d.target AND p.document = d.document "
    f"AND p.page = 0 AND NOT p.is_warning AND p.kind = '{NOT_A_DOCUMENT}')"
)


class Manifest:
    """One process writes into a collection at a time (see CollectionLock). Every method is short; any thread may call.

    collection is the user's name, kind is "visual" or "text", document is the SHA-256 of the content in hex.
    """

    def __init__(self, database: Database, made: Mapping[str, str] | None = None) -> None:
        """made: generations by kind that all methods are about, instead of those that are searched."""
        self._database = database
        self._made = made or {}

    def set_fingerprint(self, collection: str, kind: str, fingerprint: str) -> None:
        """Before the first document. Raises: FingerprintChanged."""
        with self._database.transaction():
            there = self.fingerprint(collection, kind)
            if there is None:
                self._database.write(
                    "INSERT INTO targets (collection, kind, fingerprint, created_at) VALUES (?, ?, ?, ?)",
                    *(collection, self._half(kind), fingerprint, time.time()),
                )
            elif there != fingerprint:
                raise FingerprintChanged(collection, kind, there, fingerprint)

    def fingerprint(self, collection: str, kind: str) -> str | None:
        """None: nothing was ingested there yet."""
        found = self._database.read(
            "SELECT fingerprint FROM targets WHERE collection = ? AND kind = ?", collection, self._half(kind)
        )
        return found[0][0] if found else None

    def open_document(self, collection: str, kind: str, document: str, fingerprint: str) -> None:
        """Work on it begins, or goes on: pages that are done stay done, its problems are forgotten.

        Raises: FingerprintChanged.
        """
        with self._database.transaction():
            self.set_fingerprint(collection, kind, fingerprint)
            target = self._target(collection, kind)
            self._database.write(
                "INSERT INTO documents (target, document, state, opened_at) VALUES (?, ?, 'open', ?) "
                "ON CONFLICT DO UPDATE SET state = 'open', opened_at = excluded.opened_at, ended_at = NULL",
                *(target, document, time.time()),
            )
            self._database.write("DELETE FROM problems WHERE target = ? AND document = ?", target, document)

    def done_pages(self, collection: str, kind: str, document: str) -> set[int]:
        """The pages that the store has acknowledged."""
        rows = self._database.read(
            "SELECT page FROM pages WHERE target = ? AND document = ?",
            *(self._target(collection, kind), document),
        )
        return {page for (page,) in rows}

    def pages_done(self, collection: str, kind: str, document: str, numbers: Iterable[int]) -> None:
        """Only after the store has acknowledged all that these pages have in it. The document is open."""
        target = self._target(collection, kind)
        self._database.write_many(
            "INSERT OR IGNORE INTO pages (target, document, page) VALUES (?, ?, ?)",
            [(target, document, number) for number in numbers],
        )

    def page_failed(self, collection: str, kind: str, document: str, page: int, problem: Problem) -> None:
        """The page is left out. `mlxq ingest retry` tries it again."""
        self._add_problems(collection, kind, document, page, [problem], is_warning=False)

    def page_warned(
        self, collection: str, kind: str, document: str, page: int, warnings: Sequence[Problem]
    ) -> None:
        """The page is done, but somebody should look at it."""
        self._add_problems(collection, kind, document, page, warnings, is_warning=True)

    def document_done(
        self, collection: str, kind: str, document: str, page_count: int, warnings: Sequence[Problem] = ()
    ) -> None:
        """Every page is done or failed."""
        with self._database.transaction():
            self._end(collection, kind, document, "done", page_count)
            self._add_problems(collection, kind, document, 0, warnings, is_warning=True)

    def document_failed(self, collection: str, kind: str, document: str, problem: Problem) -> None:
        """Nothing more is made of it. `mlxq ingest retry` tries it again."""
        with self._database.transaction():
            self._end(collection, kind, document, "failed", None)
            self._add_problems(collection, kind, document, problem.page or 0, [problem], is_warning=False)

    def forget_documents(self, collection: str, documents: Iterable[str]) -> None:
        """After the store has removed all their points: of both kinds, and their paths."""
        rows = [(collection, document) for document in documents]
        with self._database.transaction():
            for table in ("paths", "replaced", "relisted"):
                self._database.write_many(f"DELETE FROM {table} WHERE collection = ? AND document = ?", rows)
            self._database.write_many(
                "DELETE FROM documents WHERE target IN (SELECT id FROM targets WHERE collection = ?) AND document = ?",
                rows,
            )

    def forget_collection(self, collection: str, kind: str | None = None) -> None:
        """After the store has removed it, or the one kind of it."""
        with self._database.transaction():
            self._database.write(
                "DELETE FROM targets WHERE collection = ?1 AND (?2 IS NULL OR kind = ?2)", collection, kind
            )
            if not self._database.read("SELECT 1 FROM targets WHERE collection = ?", collection):
                for table in ("paths", "path_problems", "replaced", "relisted"):
                    self._database.write(f"DELETE FROM {table} WHERE collection = ?", collection)

    def documents(self, collection: str, kind: str | None = None) -> list[DocumentRecord]:
        """All of the collection, or of the one kind."""
        rows = self._database.read(
            "SELECT d.document, t.kind, d.state, d.page_count, "
            "(SELECT count(*) FROM pages p WHERE p.target = d.target AND p.document = d.document), "
            "(SELECT count(DISTINCT page) FROM problems p WHERE p.target = d.target AND p.document = d.document "
            "AND p.page > 0 AND NOT p.is_warning), "
            "iif(d.state = 'failed', coalesce((SELECT kind FROM problems p WHERE p.target = d.target "
            "AND p.document = d.document AND NOT p.is_warning ORDER BY page LIMIT 1), ''), ''), "
            "d.opened_at, d.ended_at "
            "FROM documents d JOIN targets t ON t.id = d.target "
            "WHERE t.collection = ?1 AND (?2 IS NULL OR t.kind = ?2) ORDER BY d.opened_at, d.document",
            *(collection, kind),
        )
        return [DocumentRecord(*row) for row in rows]

    def pages_per_byte(self) -> float | None:
        """Of the documents that are done, in all collections. None: there are none."""
        ((pages, size),) = self._database.read(
            "SELECT sum(pages), sum(size) FROM (SELECT max(d.page_count) AS pages, max(f.size_bytes) AS size "
            "FROM documents d JOIN files f ON f.document = d.document WHERE d.state = 'done' GROUP BY d.document)"
        )
        return pages / size if pages and size else None

    def problems(self, collection: str | None = None) -> list[ProblemRecord]:
        """Of one collection or all: those of documents first, then those of files that could not even be read."""
        rows = self._database.read(
            "SELECT * FROM (SELECT (SELECT min(path) FROM paths s WHERE s.collection = t.collection "
            "AND s.document = p.document) AS path, p.document AS document, nullif(p.page, 0) AS page, "
            "p.kind, p.message, p.is_warning, p.at "
            "FROM problems p JOIN targets t ON t.id = p.target WHERE ?1 IS NULL OR t.collection = ?1 "
            "UNION ALL SELECT path, '', NULL, kind, message, 0, at FROM path_problems "
            "WHERE ?1 IS NULL OR collection = ?1) ORDER BY document = '', path, page",
            collection,
        )
        found = dict[tuple[str, int | None, str, str], ProblemRecord]()  # both kinds may tell the same
        for path, document, page, kind, message, is_warning, at in rows:
            shown = shown_path(opened_path(path)) if path else ""
            record = ProblemRecord(shown, document, page, kind, message, bool(is_warning), at)
            found.setdefault((document or shown, page, kind, message), record)
        return list(found.values())

    def summaries(self) -> list[CollectionSummary]:
        """One for each kind of each collection, by name."""
        rows = self._database.read(
            "SELECT t.collection, t.kind, t.fingerprint, "
            "(SELECT count(*) FROM documents d WHERE d.target = t.id AND d.state = 'done'), "
            "(SELECT count(*) FROM documents d WHERE d.target = t.id AND d.state = 'open'), "
            f"(SELECT count(*) FROM documents d WHERE d.target = t.id AND d.state = 'failed' AND NOT {_IS_NONE}), "
            f"(SELECT count(*) FROM documents d WHERE d.target = t.id AND {_IS_NONE}), "
            "(SELECT count(*) FROM pages p WHERE p.target = t.id), "
            "(SELECT count(*) FROM problems p WHERE p.target = t.id AND NOT p.is_warning "
            f"AND p.kind <> '{NOT_A_DOCUMENT}') "
            "FROM targets t ORDER BY t.collection, t.kind"
        )
        return [CollectionSummary(*row) for row in rows]

    def _target(self, collection: str, kind: str) -> int:
        """-1: there is none."""
        found = self._database.read(
            "SELECT id FROM targets WHERE collection = ? AND kind = ?", collection, self._half(kind)
        )
        return found[0][0] if found else -1

    def _half(self, kind: str) -> str:
        return half_of(kind, self._made[kind]) if kind in self._made else kind

    def _end(self, collection: str, kind: str, document: str, state: str, page_count: int | None) -> None:
        self._database.write(
            "UPDATE documents SET state = ?, page_count = coalesce(?, page_count), ended_at = ? "
            "WHERE target = ? AND document = ?",
            *(state, page_count, time.time(), self._target(collection, kind), document),
        )

    def _add_problems(
        self,
        collection: str,
        kind: str,
        document: str,
        page: int,
        problems: Sequence[Problem],
        *,
        is_warning: bool,
    ) -> None:
        target = self._target(collection, kind)
        self._database.write_many(
            "INSERT OR REPLACE INTO problems (target, document, page, kind, message, is_warning, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(target, document, page, each.kind, each.message, is_warning, time.time()) for each in problems],
        )
