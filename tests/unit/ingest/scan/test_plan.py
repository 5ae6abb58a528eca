"""What is to be done about what was found."""

import msgspec

from ingest.manifest.records import DocumentRecord
from ingest.scan.plan import Found, Known, Move, Plan, PlannedDocument, make_plan

A, B = "a" * 64, "b" * 64
DONE = DocumentRecord(
    A, "text", "done", page_count=2, pages_done=2, pages_failed=0, failure="", opened_at=0, ended_at=1
)


def of(document: str = A, **changes: object) -> DocumentRecord:
    return msgspec.structs.replace(DONE, document=document, **changes)


def plan(
    found: dict[str, str],
    known: dict[str, str] | None = None,
    *records: DocumentRecord,
    kinds: tuple[str, ...] = ("text",),
    retried: frozenset[str] | None = frozenset(),
    unread: tuple[str, ...] = (),
) -> Plan:
    return make_plan(Found(("/d",), found, unread), Known(known or {}, records), kinds, retried=retried)


def test_a_new_document_is_work_with_all_its_paths():
    made = plan({"/d/1": A, "/d/2": B, "/d/3": A})

    assert made.work == (
        PlannedDocument(A, ("/d/1", "/d/3"), ("text",)),
        PlannedDocument(B, ("/d/2",), ("text",)),
    )
    assert made.listed == {"/d/1": A, "/d/2": B, "/d/3": A}
    assert made.duplicates == 1 and made.unchanged == 0


def test_a_document_that_is_done_is_no_work():
    made = plan({"/d/1": A}, {"/d/1": A}, of(A))

    assert made == Plan((), {}, (), (), (), (), (), 0, 1, ())


def test_only_the_kinds_that_are_missing_are_made():
    made = plan({"/d/1": A}, {"/d/1": A}, of(A), kinds=("visual", "text"))

    assert [each.kinds for each in made.work] == [("visual",)]


def test_a_document_that_was_begun_goes_on():
    assert plan({"/d/1": A}, {"/d/1": A}, of(A, state="open")).work


def test_a_moved_document_is_no_work():
    made = plan({"/d/new": A}, {"/d/old": A}, of(A))

    assert made.moved == (Move("/d/old", "/d/new"),)
    assert (made.work, made.gone, made.lost) == ((), (), ())
    assert (made.listed, made.unlisted) == ({"/d/new": A}, ("/d/old",))


def test_a_document_that_lies_elsewhere_outside_of_the_folders_is_not_gone():
    made = plan({}, {"/d/1": A, "/other/1": A}, of(A))

    assert (made.gone, made.unlisted, made.moved) == ((), ("/d/1",), ())


def test_a_document_whose_last_path_is_gone_stays_listed_until_it_is_pruned():
    made = plan({}, {"/d/1": A, "/d/2": A}, of(A))

    assert (made.gone, made.unlisted, made.lost) == (("/d/1", "/d/2"), (), (A,))


def test_files_outside_of_the_folders_are_not_gone():
    assert plan({}, {"/dd/1": A, "/e": B}, of(A)).gone == ()


def test_what_could_not_be_read_is_not_gone():
    made = plan({}, {"/d/closed/1": A, "/d/2": B}, of(A), of(B), unread=("/d/closed", "/d/2"))

    assert (made.gone, made.lost) == ((), ())


def test_a_file_with_other_content_is_changed():
    made = plan({"/d/1": B}, {"/d/1": A}, of(A))

    assert made.changed == ("/d/1",) and made.listed == {"/d/1": B}
    assert [each.document for each in made.work] == [B]
    assert made.gone == () and made.lost == ()  # it leaves when the other one is done


def test_an_older_document_that_lies_nowhere_is_lost():
    assert plan({"/d/1": B}, {"/d/1": B}, of(A), of(B)).lost == (A,)


def test_a_swap_of_two_files_changes_only_their_paths():
    made = plan({"/d/1": B, "/d/2": A}, {"/d/1": A, "/d/2": B}, of(A), of(B))

    assert made.work == () and made.lost == () and made.listed == {"/d/1": B, "/d/2": A}


def test_accents_may_be_written_either_way():
    known = {"/d/e\u0301/1": A}
    found = Found(("/d/\u00e9",), {})

    assert make_plan(found, Known(known, (of(A),)), ("text",)).gone == ("/d/e\u0301/1",)


def test_a_document_that_failed_is_left_alone_and_told():
    failed = of(A, state="failed", failure="encrypted")

    made = plan({"/d/1": A}, {"/d/1": A}, failed)

    assert made.work == () and made.failed_before == (A,)
    assert plan({"/d/1": A}, {"/d/1": A}, failed, retried=frozenset({"encrypted"})).work
    assert plan({"/d/1": A}, {"/d/1": A}, failed, retried=None).work


def test_a_document_that_was_being_written_is_tried_again_unasked():
    assert plan({"/d/1": A}, {"/d/1": A}, of(A, state="failed", failure="changing")).work


def test_a_retry_takes_documents_of_which_pages_have_failed_and_no_others():
    made = plan({"/d/1": A, "/d/2": B}, {}, of(A, pages_failed=1), of(B), retried=None)

    assert [each.document for each in made.work] == [A]
