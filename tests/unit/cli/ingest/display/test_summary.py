"""What is said at the end, and before the beginning."""

import json
from pathlib import Path

from cli.ingest.display.summary import Preview, Summary, preview_lines, summary_lines
from cli.ingest.problems_file import problems_path, write_problems
from ingest.manifest.records import ProblemRecord


def problem(number: int, page: int | None = None, *, is_warning: bool = False) -> ProblemRecord:
    return ProblemRecord(f"/d/{number}.pdf", "a" * 64, page, "encrypted", "Do this.", is_warning, at=0)


def test_an_ingest_without_anything_new_says_so_in_one_line():
    done = Summary(collection="documents", took_s=0.4, unchanged=12)

    assert summary_lines(done, []) == ["Nothing new for 'documents' (0 s).", "  12 done before"]
    assert done.exit_code == 0


def test_what_has_failed_is_named_with_what_to_do_and_where_the_rest_is():
    done = Summary(
        collection="papers",
        took_s=61,
        tried=14,
        documents=2,
        pages=30,
        failed=12,
        pages_failed=1,
        errors_file="/e.jsonl",
    )

    lines = summary_lines(done, [problem(1, 3), *(problem(number) for number in range(2, 13))])

    assert lines[0] == "Done in 1 min 1 s: 2 documents (30 pages) ingested into 'papers'."
    assert lines[1] == "  12 failed, 1 page failed"
    assert lines[2] == "  /d/1.pdf, page 3: Do this."
    assert lines[-2] == "  … and 2 more"
    assert "mlxq ingest errors -c papers, or /e.jsonl" in lines[-1]
    assert done.exit_code == 3


def test_a_stop_says_how_it_goes_on():
    lines = summary_lines(Summary(collection="c", took_s=5, documents=1, pages=1, left=4), [])

    assert lines[0] == "Stopped after 5 s: 1 document (1 page) in 'c', 4 left."
    assert "goes on" in lines[1]


def test_documents_whose_files_are_gone_are_told_with_how_to_remove_them():
    assert (
        "1 document of which the file is gone: --prune"
        in summary_lines(Summary(collection="c", took_s=1, gone=1), [])[1]
    )


def test_failures_of_earlier_ingests_count_for_the_exit_code():
    assert Summary(collection="c", took_s=1, failed_before=1).exit_code == 3
    assert Summary(collection="c", took_s=1, not_documents=7).exit_code == 0


def test_a_preview_guesses_pages_and_time():
    would = Preview(
        collection="c",
        kinds=("visual", "text"),
        documents=50,
        size_bytes=213_000_000,
        changed=2,
        moved=1,
        unchanged=5,
        duplicates=0,
        failed_before=0,
        not_documents=0,
        unreadable=0,
        gone=0,
        ignored=0,
        pages=5500,
        seconds=125,
    )

    lines = preview_lines(would)

    assert lines[0] == "Files for 'c' (visual and text):"
    assert lines[1].strip() == "50  to ingest (213 MB)"
    assert lines[-2] == "About 5,500 pages, about 2 min 5 s."
    assert len(lines) == 7 and all(len(line) < 80 for line in lines)


def test_problems_lie_in_a_file_of_json_lines(tmp_path: Path):
    path = problems_path(tmp_path, "a/b")
    write_problems(path, [problem(1, 3), problem(2)])
    write_problems(path, [problem(2)])

    assert path.parent == tmp_path and path.name == "a%2Fb.errors.jsonl"
    (row,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (row["path"], row["page"], row["kind"], row["message"]) == (
        "/d/2.pdf",
        None,
        "encrypted",
        "Do this.",
    )
