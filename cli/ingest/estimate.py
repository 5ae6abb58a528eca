"""What an ingest would do, and about how long it would take."""

from collections.abc import Sequence

from cli.ingest.display.summary import Preview
from cli.ingest.request import IngestRequest
from ingest.manifest.runs import Run
from ingest.scan.scanner import Scan

PAGES = "done"
"""The stage of a run that counts pages."""


def preview_of(
    request: IngestRequest,
    kinds: Sequence[str],
    scan: Scan,
    before: tuple[int, int],
    pages_per_byte: float | None,
    runs: Sequence[Run],
) -> Preview:
    """before: documents that failed, and those that are none (see failed_before).

    pages_per_byte: of documents that were ingested before. None: there are none to tell by.
    """
    plan = scan.plan
    size = sum(scan.files[each.paths[0]].size_bytes for each in plan.work)
    pages = None if pages_per_byte is None else max(len(plan.work), round(size * pages_per_byte))
    speed = pages_per_s(runs)
    return Preview(
        collection=request.collection,
        kinds=tuple(kinds),
        documents=len(plan.work),
        size_bytes=size,
        changed=len(plan.changed),
        moved=len(plan.moved),
        unchanged=plan.unchanged,
        duplicates=plan.duplicates,
        failed_before=before[0],
        not_documents=before[1],
        unreadable=len(scan.problems),
        gone=len(plan.lost),
        ignored=scan.ignored,
        pages=pages,
        seconds=None if pages is None or not speed else pages / speed,
    )


def pages_per_s(runs: Sequence[Run]) -> float:
    """Of the newest run that has done some. 0: none has."""
    for run in runs:
        pages = next((stage.done for stage in run.progress.stages if stage.name == PAGES), 0)
        took_s = (run.ended_at or run.heartbeat_at) - run.started_at
        if pages and took_s > 0:
            return pages / took_s
    return 0.0
