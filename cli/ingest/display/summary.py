"""What an ingest has done, and what it would do."""

from collections.abc import Sequence

import msgspec

from cli.ingest.display.amounts import told_bytes, told_count, told_time
from ingest.manifest.records import ProblemRecord

MAX_SHOWN = 10
"""Problems of a summary; all of them are in the file of errors."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingest has done."""

    collection: str
    took_s: float
    documents: int = 0
    """That are in the collection now, and were not before."""
    pages: int = 0
    tried: int = 0
    """Documents that were to be ingested."""
    unchanged: int = 0
    """Documents of which all was there before."""
    failed: int = 0
    """Files and documents of which nothing could be made."""
    failed_before: int = 0
    """Documents that failed in an earlier ingest, and were not tried again."""
    pages_failed: int = 0
    """Of documents that are in the collection otherwise."""
    not_documents: int = 0
    """Files of formats that are none of documents."""
    moved: int = 0
    duplicates: int = 0
    replaced: int = 0
    """Documents that have left because their files have other content now."""
    pruned: int = 0
    gone: int = 0
    """Documents whose files are gone, and which are still in the collection."""
    lacking: int = 0
    """Documents that cannot be embedded anew: the old vectors are searched as before."""
    left: int = 0
    """Documents that a stop has left for the next time."""
    errors_file: str = ""

    @property
    def exit_code(self) -> int:
        """3: something has failed, now or before."""
        return 3 if self.failed or self.pages_failed or self.failed_before or self.lacking else 0


def summary_lines(done: Summary, problems: Sequence[ProblemRecord]) -> list[str]:
    """For people."""
    what = f"{told_count(done.documents, 'document')} ({told_count(done.pages, 'page')})"
    if done.left:
        first = f"Stopped after {told_time(done.took_s)}: {what} in {done.collection!r}, {done.left:,} left."
    elif not done.tried:
        first = f"Nothing new for {done.collection!r} ({told_time(done.took_s)})."
    else:
        first = f"Done in {told_time(done.took_s)}: {what} ingested into {done.collection!r}."
    parts = [
        (done.unchanged, "done before"),
        (done.moved, "moved"),
        (done.replaced, "replaced by new content"),
        (done.duplicates, "with the same content"),
        (done.pruned, "removed"),
        (done.not_documents, "skipped (no documents)"),
        (done.failed, "failed"),
        (done.failed_before, "failed before"),
    ]
    told = [f"{count:,} {text}" for count, text in parts if count]
    if done.pages_failed:
        told.append(f"{told_count(done.pages_failed, 'page')} failed")
    lines = [first, *([f"  {', '.join(told)}"] if told else [])]
    if done.left:
        lines.append("  The same command goes on from here.")
    if done.lacking:
        lines.append(
            f"  {told_count(done.lacking, 'document')} cannot be embedded anew, for the files are gone or fail. "
            "The old vectors are searched as before. Bring the files back, or go on without them: --yes."
        )
    if done.gone:
        lines.append(
            f"  {told_count(done.gone, 'document')} of which the file is gone: --prune removes "
            f"{'it' if done.gone == 1 else 'them'}."
        )
    lines += [f"  {problem_line(each)}" for each in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"  … and {len(problems) - MAX_SHOWN:,} more")
    if done.exit_code:
        again = "`mlxq ingest retry` tries again"
        named = "" if done.collection == "documents" else f" -c {done.collection}"
        lines.append(f"  All that failed: mlxq ingest errors{named}, or {done.errors_file}; {again}.")
    return lines


def problem_line(problem: ProblemRecord) -> str:
    """Which file, which page, what, and what to do."""
    page = f", page {problem.page}" if problem.page else ""
    mark = "warning: " if problem.is_warning else ""
    return f"{problem.path or problem.document[:12]}{page}: {mark}{problem.message}"


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingest would do."""

    collection: str
    kinds: tuple[str, ...]
    documents: int
    size_bytes: int
    changed: int
    moved: int
    unchanged: int
    duplicates: int
    failed_before: int
    not_documents: int
    """Of those that were looked at before."""
    unreadable: int
    gone: int
    ignored: int
    pages: int | None
    """None: there is nothing to guess it by."""
    seconds: float | None


def preview_lines(would: Preview) -> list[str]:
    """For people."""
    lines = [f"Files for {would.collection!r} ({' and '.join(would.kinds)}):"]
    rows = [
        (would.documents, "to ingest", told_bytes(would.size_bytes)),
        (would.changed, "changed since it was ingested", "among those"),
        (would.moved, "moved", "nothing is embedded again"),
        (would.duplicates, "with the content of another", "embedded once"),
        (would.unchanged, "done before", ""),
        (would.failed_before, "failed before", "`mlxq ingest retry` tries again"),
        (would.not_documents, "no document", "left out"),
        (would.ignored, "hidden or temporary", "left out"),
        (would.unreadable, "that cannot be read", ""),
        (would.gone, "gone, and still in the collection", "--prune removes it"),
    ]
    lines += [
        f"  {count:>9,}  {text}{f' ({more})' if more else ''}"
        for count, text, more in rows
        if count or text == rows[0][1]
    ]
    if would.documents and would.pages is not None:
        time = f", about {told_time(would.seconds)}" if would.seconds is not None else ""
        lines.append(f"About {told_count(would.pages, 'page')}{time}.")
    lines.append("Nothing was ingested (--dry-run).")
    return lines
