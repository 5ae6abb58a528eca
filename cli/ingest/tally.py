"""What has become of an ingest, by what the manifest says afterwards."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from cli.ingest.display.summary import Summary
from ingest.manifest.records import NOT_A_DOCUMENT, DocumentRecord
from ingest.scan.plan import PlannedDocument
from ingest.scan.scanner import Scan


class Tally(msgspec.Struct, frozen=True):
    """Of the documents that were to be ingested."""

    done: int = 0
    pages: int = 0
    failed: int = 0
    pages_failed: int = 0
    not_documents: int = 0
    left: int = 0


def tally(
    work: Sequence[PlannedDocument], records: Iterable[DocumentRecord], named: Collection[str]
) -> Tally:
    """named: paths that the user has named themselves."""
    by_kind = {(each.document, each.kind): each for each in records}
    done = pages = failed = pages_failed = others = left = 0
    for each in work:
        made = [by_kind.get((each.document, kind)) for kind in each.kinds]
        there = [record for record in made if record is not None]
        if len(there) < len(made) or any(record.state == "open" for record in there):
            left += 1
        elif any(record.state == "failed" for record in there):
            is_other = _is_no_document(there) and not any(path in named for path in each.paths)
            others += is_other
            failed += not is_other
        else:
            done += 1
            pages_failed += max(record.pages_failed for record in there)
        pages += max((record.pages_done for record in there), default=0)
    return Tally(done, pages, failed, pages_failed, others, left)


def failed_before(scan: Scan, records: Iterable[DocumentRecord], named: Collection[str]) -> tuple[int, int]:
    """Documents that were not tried again: those that failed, and those that are no documents."""
    by_document: dict[str, list[DocumentRecord]] = {}
    for each in records:
        by_document.setdefault(each.document, []).append(each)
    named_documents = {scan.documents.get(path) for path in named}
    others = sum(
        _is_no_document(by_document.get(document, [])) and document not in named_documents
        for document in scan.plan.failed_before
    )
    return len(scan.plan.failed_before) - others, others


def summary_of(
    scan: Scan, counted: Tally, before: tuple[int, int], more: Mapping[str, int | float | str]
) -> Summary:
    """more: what else there is to say, as Summary has it."""
    plan = scan.plan
    facts: dict[str, int | float | str] = {
        "documents": counted.done,
        "pages": counted.pages,
        "tried": len(plan.work),
        "unchanged": plan.unchanged,
        "failed": counted.failed + len(scan.problems),
        "failed_before": before[0],
        "pages_failed": counted.pages_failed,
        "not_documents": counted.not_documents + before[1],
        "moved": len(plan.moved),
        "duplicates": plan.duplicates,
        "left": counted.left,
    }
    return msgspec.convert({**facts, **more}, Summary)


def _is_no_document(records: Sequence[DocumentRecord]) -> bool:
    failures = {each.failure for each in records if each.state == "failed"}
    return failures == {NOT_A_DOCUMENT}
