"""What is to be done about what was found: a pure decision."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ingest.manifest.records import DocumentRecord

AGAIN = frozenset({"changing"})
"""What a document failed by, where it is tried again unasked: it is cured by waiting."""


class PlannedDocument(msgspec.Struct, frozen=True):
    """A document to be read."""

    document: str
    paths: tuple[str, ...]
    """Where it was found. At least one; any of them will do."""
    kinds: tuple[str, ...]
    """Of which something is missing."""


class Move(msgspec.Struct, frozen=True):
    """The same content lies elsewhere now."""

    old: str
    new: str


class Plan(msgspec.Struct, frozen=True):
    """What an ingest does."""

    work: tuple[PlannedDocument, ...]
    """In the order of their first paths."""
    listed: dict[str, str]
    """Paths that are new or have other content, with their documents."""
    unlisted: tuple[str, ...]
    """Paths where documents lay that lie elsewhere, too: only the list of their paths changes."""
    moved: tuple[Move, ...]
    changed: tuple[str, ...]
    """Paths whose content is another one now."""
    gone: tuple[str, ...]
    """Paths of documents that lie nowhere any more. They stay in the collection until they are pruned."""
    lost: tuple[str, ...]
    """Those documents, and older ones that lie nowhere either."""
    duplicates: int
    """Paths beyond the first of each document."""
    unchanged: int
    """Documents of which all is done."""
    failed_before: tuple[str, ...]
    """Documents that failed in an earlier run, and would fail again."""


class Found(msgspec.Struct, frozen=True):
    """What is in the folders now."""

    roots: tuple[str, ...]
    documents: dict[str, str]
    """By path."""
    unread: tuple[str, ...] = ()
    """Files and folders that could not be read: what was known there is not gone."""


class Known(msgspec.Struct, frozen=True):
    """What the manifest has of the collection."""

    paths: dict[str, str]
    """With the document at each."""
    records: tuple[DocumentRecord, ...] = ()


def make_plan(
    found: Found, known: Known, kinds: Sequence[str], *, retried: frozenset[str] | None = frozenset()
) -> Plan:
    """kinds: which are wanted of each document. retried: what a document failed by, where it is tried again; None:
    whatever it failed by, and documents of which single pages have failed.
    """
    paths_of = dict[str, list[str]]()
    for path, document in found.documents.items():
        paths_of.setdefault(document, []).append(path)
    vanished = _vanished(found, known)
    elsewhere = known.paths.keys() - found.documents.keys() - set(vanished)
    present = {*found.documents.values(), *(known.paths[path] for path in elsewhere)}
    gone = tuple(path for path in vanished if known.paths[path] not in present)
    unlisted = tuple(path for path in vanished if known.paths[path] in present)
    listed = {path: each for path, each in found.documents.items() if known.paths.get(path) != each}
    work, unchanged, failed = _work(paths_of, known.records, kinds, retried)
    lost = {known.paths[path] for path in gone}
    lost |= {each.document for each in known.records} - present - set(known.paths.values())
    return Plan(
        work=tuple(work),
        listed=listed,
        unlisted=unlisted,
        moved=_moves(unlisted, listed, known),
        changed=tuple(path for path in listed if path in known.paths),
        gone=gone,
        lost=tuple(sorted(lost)),
        duplicates=len(found.documents) - len(paths_of),
        unchanged=unchanged,
        failed_before=tuple(failed),
    )


class Folders:
    """Asks whether paths are among some, or below them, however accents are written."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders = {_composed(folder) for folder in folders}

    def hold(self, path: str) -> bool:
        """Paths are absolute."""
        part = _composed(path)
        while part not in self._folders:
            if len(part) <= 1:
                return False
            part = part.rpartition("/")[0] or "/"
        return True


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path.rstrip("/") or "/")


def _vanished(found: Found, known: Known) -> list[str]:
    """Paths at which there was a document and is none."""
    roots, unread = Folders(found.roots), Folders(found.unread)
    return [
        path
        for path in known.paths
        if path not in found.documents and roots.hold(path) and not unread.hold(path)
    ]


def _work(
    paths_of: Mapping[str, Sequence[str]],
    records: Iterable[DocumentRecord],
    kinds: Sequence[str],
    retried: frozenset[str] | None,
) -> tuple[list[PlannedDocument], int, list[str]]:
    """What is to be read, how many documents are done, which failed before."""
    by_kind = {(each.document, each.kind): each for each in records}
    work, unchanged, failed = list[PlannedDocument](), 0, list[str]()
    for document, paths in paths_of.items():
        there = {kind: by_kind.get((document, kind)) for kind in kinds}
        wanted = tuple(kind for kind, record in there.items() if _is_wanted(record, retried))
        if wanted:
            work.append(PlannedDocument(document, tuple(paths), wanted))
        elif any(record and (record.state == "failed" or record.pages_failed) for record in there.values()):
            failed.append(document)
        else:
            unchanged += 1
    return work, unchanged, failed


def _is_wanted(record: DocumentRecord | None, retried: frozenset[str] | None) -> bool:
    if record is None or record.state == "open":
        return True
    if record.state == "done":
        return retried is None and record.pages_failed > 0
    return retried is None or record.failure in AGAIN | retried


def _moves(unlisted: Iterable[str], listed: Mapping[str, str], known: Known) -> tuple[Move, ...]:
    new_paths = dict[str, list[str]]()
    for path, document in listed.items():
        if path not in known.paths:
            new_paths.setdefault(document, []).append(path)
    moves = list[Move]()
    for old in unlisted:
        if arrived := new_paths.get(known.paths[old]):
            moves.append(Move(old, arrived.pop(0)))
    return tuple(moves)
