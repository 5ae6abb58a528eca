"""Who is told what."""

import json

import pytest

from cli.ingest.display.reporters import JsonReporter, QuietReporter, TerminalReporter, reporter_for
from cli.ingest.display.summary import Summary
from ingest.manifest.records import ProblemRecord
from jobs.ingests.run import RunProgress, StageProgress

PROBLEM = ProblemRecord("/d/a.pdf", "a" * 64, 3, "too_large", "Too large.", is_warning=False, at=0)
PROGRESS = RunProgress(stages=(StageProgress("files", 1, 2, "files"),))
DONE = Summary(collection="c", took_s=1, tried=1, documents=1, pages=2, pages_failed=1)


def test_every_line_for_programs_is_json_that_says_what_it_is(capsys: pytest.CaptureFixture[str]):
    reporter = JsonReporter()
    reporter.note("A sentence.")
    reporter.progress(PROGRESS)
    reporter.problem(PROBLEM)
    reporter.summary(DONE, [PROBLEM])

    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [each["event"] for each in events] == ["note", "progress", "problem", "summary"]
    assert events[1]["stages"][0]["done"] == 1
    assert (events[2]["path"], events[2]["page"], events[2]["kind"]) == ("/d/a.pdf", 3, "too_large")
    assert events[3]["exit_code"] == 3 and not err


def test_a_terminal_has_one_line_that_is_rewritten_and_cleared(capsys: pytest.CaptureFixture[str]):
    reporter = TerminalReporter()
    reporter.progress(PROGRESS)
    reporter.problem(PROBLEM)
    reporter.summary(DONE, [PROBLEM])

    out, err = capsys.readouterr()
    assert err == "\r1 of 2 files\x1b[K\r\x1b[K! /d/a.pdf, page 3: Too large.\n"
    assert out.splitlines()[0] == "Done in 1 s: 1 document (2 pages) ingested into 'c'."
    assert "Too large" not in out  # it was told already


def test_whoever_wants_quiet_has_it(capsys: pytest.CaptureFixture[str]):
    reporter = QuietReporter()
    reporter.note("A sentence.")
    reporter.progress(PROGRESS)
    reporter.problem(PROBLEM)
    reporter.summary(DONE, [PROBLEM])

    assert capsys.readouterr() == ("", "")


def test_programs_go_before_quiet():
    assert isinstance(reporter_for(quiet=True, json=True), JsonReporter)
    assert isinstance(reporter_for(quiet=True, json=False), QuietReporter)
