"""Documents whose files are gone leave the collection: after a preview."""

import asyncio
import sys
from collections.abc import Sequence

from cli.ingest.display.amounts import told_count
from cli.ingest.display.reporters import Reporter
from cli.ingest.request import IngestRequest
from ingest.manifest.path import shown_path
from ingest.scan.scanner import Scan
from jobs.process.cancelling import cancel_and_wait

MAX_SHOWN = 10


async def agreed_removals(
    request: IngestRequest, scan: Scan, reporter: Reporter, stop: asyncio.Event
) -> Sequence[str]:
    """The documents to be removed: after asking, unless the user has said yes already. stop: an answer, too."""
    lost = scan.plan.lost
    if not lost or not request.prune:
        return ()
    reporter.note("\n".join(_preview(request.collection, scan)))
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not request.json and not request.quiet
    if scan.empty_roots and not asks:
        reporter.note(f"Nothing is removed: {_empty(scan)}. Run it in a terminal to be asked.")
        return ()
    if request.yes and not scan.empty_roots:
        return lost
    if not asks:
        reporter.note("Nothing is removed: there is nobody to ask. Say --yes to agree beforehand.")
        return ()
    if scan.empty_roots:
        print(f"Attention: {_empty(scan)}.")
    print(
        f"Remove {told_count(len(lost), 'document')} from {request.collection!r}? [y/N] ", end="", flush=True
    )
    return lost if await _is_yes(stop) else ()


async def _is_yes(stop: asyncio.Event) -> bool:
    """What is typed. The loop goes on meanwhile."""
    loop = asyncio.get_running_loop()
    typed = loop.create_future()
    loop.add_reader(sys.stdin, lambda: typed.done() or typed.set_result(sys.stdin.readline()))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((typed, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(sys.stdin)
        await cancel_and_wait(stopped)
    return typed.done() and typed.result().strip().casefold() in ("y", "yes")


def _preview(collection: str, scan: Scan) -> list[str]:
    lost, gone = scan.plan.lost, scan.plan.gone
    lines = [
        f"{told_count(len(lost), 'document')} of {collection!r} can be removed, for their files are gone:"
    ]
    lines += [f"  {shown_path(path)}" for path in gone[:MAX_SHOWN]]
    if len(gone) > MAX_SHOWN:
        lines.append(f"  … and {len(gone) - MAX_SHOWN:,} more")
    if not gone:
        lines = [
            f"{told_count(len(lost), 'document')} of {collection!r} can be removed: no file has them any more."
        ]
    return lines


def _empty(scan: Scan) -> str:
    folders = ", ".join(shown_path(root) for root in scan.empty_roots)
    return f"{folders} holds no files at all any more, as if its disk were not mounted"
