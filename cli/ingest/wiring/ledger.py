"""The manifest as the pipeline writes it: what fails is told at once, and what has ended is counted."""

from collections.abc import Callable, Collection, Mapping, Sequence

from cli.ingest.records import Records
from ingest.documents.problem import Problem
from ingest.manifest.manifest import Manifest
from ingest.manifest.path import shown_path
from ingest.manifest.records import NOT_A_DOCUMENT, ProblemRecord


class Ledger(Manifest):
    """Any thread may call it; `tell` must bear that."""

    def __init__(
        self,
        records: Records,
        collection: str,
        named: Collection[str],
        tell: Callable[[ProblemRecord], None],
        made: Mapping[str, str] | None = None,
    ) -> None:
        """named: paths that the user has named themselves. made: see Manifest."""
        super().__init__(records.database, made)
        self._paths = records.paths
        self._of = collection
        self._named = named
        self._tell = tell
        self._told: set[tuple[str, int | None, str]] = set()
        self.ended: set[str] = set()
        """Documents that are done or have failed."""
        self.not_documents: set[str] = set()
        """Of those, the ones that are left out."""

    def page_failed(self, collection: str, kind: str, document: str, page: int, problem: Problem) -> None:
        super().page_failed(collection, kind, document, page, problem)
        self._tell_once(document, page, problem, is_warning=False)

    def page_warned(
        self, collection: str, kind: str, document: str, page: int, warnings: Sequence[Problem]
    ) -> None:
        super().page_warned(collection, kind, document, page, warnings)
        for each in warnings:
            self._tell_once(document, page, each, is_warning=True)

    def document_done(
        self, collection: str, kind: str, document: str, page_count: int, warnings: Sequence[Problem] = ()
    ) -> None:
        super().document_done(collection, kind, document, page_count, warnings)
        self.ended.add(document)

    def document_failed(self, collection: str, kind: str, document: str, problem: Problem) -> None:
        super().document_failed(collection, kind, document, problem)
        self.ended.add(document)
        self._tell_once(document, problem.page, problem, is_warning=False)

    def _tell_once(self, document: str, page: int | None, problem: Problem, *, is_warning: bool) -> None:
        """Both kinds may have the same."""
        key = (document, page, problem.kind)
        if key in self._told:
            return
        self._told.add(key)
        paths = self._paths.paths(self._of, document)
        if problem.kind == NOT_A_DOCUMENT and not any(path in self._named for path in paths):
            self.not_documents.add(document)
            return
        path = next(iter(paths), "")
        self._tell(
            ProblemRecord(shown_path(path), document, page, problem.kind, problem.message, is_warning, at=0)
        )
