"""What has become of an ingest, by what the manifest says."""

import msgspec

from cli.ingest.tally import Tally, tally
from ingest.manifest.records import DocumentRecord
from ingest.scan.plan import PlannedDocument

A = "a" * 64
WORK = PlannedDocument(A, ("/d/a",), ("visual", "text"))
DONE = DocumentRecord(A, "text", "done", 4, 4, 0, "", 0, 1)


def counted(*records: DocumentRecord, named: tuple[str, ...] = ()) -> Tally:
    return tally([WORK], records, named)


def of(kind: str, **changes: object) -> DocumentRecord:
    return msgspec.structs.replace(DONE, kind=kind, **changes)


def test_a_document_is_done_when_both_kinds_are():
    assert counted(of("text"), of("visual")) == Tally(done=1, pages=4)
    assert counted(of("text")) == Tally(left=1, pages=4)
    assert counted(of("text"), of("visual", state="open", pages_done=1)) == Tally(left=1, pages=4)


def test_a_document_of_which_one_kind_failed_has_failed():
    failed = of("visual", state="failed", failure="encrypted", pages_done=0)

    assert counted(of("text"), failed) == Tally(failed=1, pages=4)


def test_pages_that_failed_are_counted_once():
    assert counted(of("text", pages_failed=1), of("visual", pages_failed=2)).pages_failed == 2


def test_a_file_that_is_no_document_fails_only_if_it_was_named():
    others = [
        of(kind, state="failed", failure="unsupported", pages_done=0, page_count=None)
        for kind in ("visual", "text")
    ]

    assert counted(*others) == Tally(not_documents=1)
    assert counted(*others, named=("/d/a",)) == Tally(failed=1)
