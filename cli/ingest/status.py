"""`mlxq ingest status` and `mlxq ingest errors`: read from the manifest, whether or not anything runs."""

import sys
import time
from collections.abc import Sequence
from datetime import datetime

import msgspec

from cli.ingest.display.amounts import told_count, told_time
from cli.ingest.display.progress_line import progress_line
from cli.ingest.display.summary import problem_line
from ingest.manifest.database import Database
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.manifest.records import NOT_A_DOCUMENT, CollectionSummary, ProblemRecord
from ingest.manifest.runs import Run, RunRecords
from jobs.process.colour import paint
from jobs.settings import Settings

RUNS = 10

OTHERS = 5
"""Files that are no documents, of which so many are named."""

NOTHING = "Nothing was ingested yet: mlxq ingest FOLDER"


def show_status(settings: Settings, collection: str | None, *, json: bool) -> int:
    """Raises: ManifestUnusable."""
    try:
        database = Database(manifest_path(settings), read_only=True)
    except FileNotFoundError:
        if not json:
            print(NOTHING)
        return 0
    summaries = [each for each in Manifest(database).summaries() if collection in (None, each.collection)]
    runs = RunRecords(database).list(collection, RUNS)
    if json:
        for each in summaries:
            _print_json("collection", each)
        for run in runs:
            _print_json("run", run)
        return 0
    if not summaries and not runs:
        print(NOTHING)
    print("\n".join([*_collection_lines(summaries), *_run_lines(runs)]))
    return 0


def show_errors(settings: Settings, collection: str | None, *, json: bool) -> int:
    """Raises: ManifestUnusable."""
    try:
        database = Database(manifest_path(settings), read_only=True)
    except FileNotFoundError:
        problems = []
    else:
        problems = Manifest(database).problems(collection)
    if json:
        for each in problems:
            sys.stdout.write(msgspec.json.encode(each).decode() + "\n")
    else:
        print("\n".join(_problem_lines(problems)))
    return 0


def _problem_lines(problems: Sequence[ProblemRecord]) -> list[str]:
    others = [each for each in problems if each.kind == NOT_A_DOCUMENT]
    shown = [each for each in problems if each.kind != NOT_A_DOCUMENT]
    lines = [problem_line(each) for each in shown]
    if others:
        more = f" and {len(others) - OTHERS:,} more" if len(others) > OTHERS else ""
        names = ", ".join(each.path for each in others[:OTHERS])
        lines.append(f"Skipped, for they are no documents: {names}{more}.")
    failed = sum(not each.is_warning for each in shown)
    if not shown:
        return [*lines, "Nothing has failed."]
    told = [(failed, "problem"), (len(shown) - failed, "warning"), (len(others), "skipped")]
    counts = [
        f"{count:,} skipped" if noun == "skipped" else told_count(count, noun)
        for count, noun in told
        if count
    ]
    return [*lines, f"{', '.join(counts)}. `mlxq ingest retry` tries again."]


def _collection_lines(summaries: Sequence[CollectionSummary]) -> list[str]:
    if not summaries:
        return []
    rows = [("COLLECTION", "KIND", "DOCUMENTS", "PAGES", "OPEN", "FAILED", "SKIPPED")]
    rows += [
        (
            each.collection,
            each.kind,
            *(
                f"{count:,}"
                for count in (
                    each.documents_done,
                    each.pages_done,
                    each.documents_open,
                    each.documents_failed,
                    each.not_documents,
                )
            ),
        )
        for each in summaries
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if column < 2 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _run_lines(runs: Sequence[Run]) -> list[str]:
    lines = [""] if runs else []
    now = time.time()
    for run in runs:
        began = datetime.fromtimestamp(run.started_at).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 - the user's time
        lines.append(f"{began}  {run.collection}  {_told(run, now)}")
    return lines


def _told(run: Run, now: float) -> str:
    took = told_time((run.ended_at or run.heartbeat_at) - run.started_at)
    progress = run.progress
    made = told_count(progress.documents_done, "document")
    failed = f", {progress.documents_failed:,} failed" if progress.documents_failed else ""
    if run.is_alive(now):
        return f"{paint('runs', 'green', sys.stdout)} (pid {run.pid}): {progress_line(progress, 60)}"
    match run.state:
        case "running":
            return f"{paint('was killed', 'red', sys.stdout)} after {took}: the same command goes on"
        case "done":
            return f"done in {took}: {made}{failed}"
        case "stopped":
            return f"stopped after {took}: {made}{failed}"
        case "failed":
            return f"{paint('ended', 'red', sys.stdout)} after {took}: {progress.message.partition('. ')[0]}"


def _print_json(what: str, about: CollectionSummary | Run) -> None:
    sys.stdout.write(msgspec.json.encode({"what": what, **msgspec.to_builtins(about)}).decode() + "\n")
