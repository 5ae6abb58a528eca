"""One call of `mlxq ingest FOLDER…`: its run in the manifest, its signals, its watch."""

import asyncio
import contextlib
import logging
import time

import uvloop

from cli.cannot_do import CannotDo
from cli.ingest.display.meter import Meter
from cli.ingest.display.reporters import Reporter, reporter_for
from cli.ingest.display.summary import Summary
from cli.ingest.ingestion import Ingestion
from cli.ingest.records import Records
from cli.ingest.reembedding import Reembedding
from cli.ingest.request import IngestRequest
from cli.ingest.stop import STOPPED, Stop
from cli.processes import event_loop
from ingest.manifest.database import Database
from ingest.manifest.lock import hold_collection
from ingest.manifest.manifest import manifest_path
from ingest.manifest.runs import HEARTBEAT_S
from ingest.scan.hashing import Stopped
from ingest.scan.watch import FolderWatch
from jobs.ingests.run import RunState
from jobs.process.cancelling import cancel_and_wait
from jobs.settings import Settings

log = logging.getLogger(__name__)

TICK_S = 0.5

SETTLE_S = 3.0
"""A watched file that has changed so lately may still be being written."""

LOOKED_AGAIN_S = 300.0
"""Not every file system tells of changes."""

BLIND_LOOKED_AGAIN_S = 30.0
"""Where the system does not watch folders."""


def ingest_folders(settings: Settings, request: IngestRequest) -> int:
    """Exit codes: 0, 3 where files have failed, 130 where it was stopped.

    Raises: CannotDo, ManifestUnusable, CollectionBusy, sqlite3.Error.
    """
    reporter = reporter_for(quiet=request.quiet, json=request.json)
    path = manifest_path(settings)
    opened = Database.scratch if request.dry_run else Database
    with contextlib.closing(opened(path)) as database, contextlib.ExitStack() as held:
        if not request.dry_run:
            held.enter_context(hold_collection(path.parent, request.collection))
        logs = _ClearsTheLine(reporter)
        for handler in logging.getLogger().handlers:
            handler.addFilter(logs)
        try:
            return event_loop.run(
                _run(settings, request, reporter, Records.of(database)), uvloop.new_event_loop
            )
        finally:
            reporter.clear()


class _ClearsTheLine(logging.Filter):
    """What is logged does not begin behind the line of the progress."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def filter(self, record: logging.LogRecord) -> bool:
        self._reporter.clear()
        return True


async def _run(settings: Settings, request: IngestRequest, reporter: Reporter, records: Records) -> int:
    stop = Stop(reporter)
    stop.install()
    try:
        return await Session(settings, request, reporter, records, stop).run()
    except asyncio.CancelledError:
        reporter.note("Stopped at once. The same command goes on from here.")
        return STOPPED
    finally:
        stop.remove()


class Session:
    """A run."""

    def __init__(
        self, settings: Settings, request: IngestRequest, reporter: Reporter, records: Records, stop: Stop
    ) -> None:
        self._request = request
        self._reporter = reporter
        self._runs = records.runs
        self._stop = stop
        self._meter = Meter()
        made_by = Reembedding if request.reembed else Ingestion
        self._ingestion = made_by(settings, request, reporter, records, stop, self._meter)

    async def run(self) -> int:
        """Returns the exit code."""
        if self._request.dry_run:
            return await self._ticking(None)
        run = self._runs.begin(self._request.collection, self._request.told)
        state: RunState = "failed"
        message = ""
        try:
            code = await self._ticking(run)
            state = "stopped" if self._stop.asked.is_set() else "done"
            return code
        except asyncio.CancelledError:
            state = "stopped"
            raise
        except (CannotDo, Stopped) as error:
            message = f"{error}"
            raise
        except Exception as error:
            log.exception("an ingest has failed")
            message = (
                f"An error of mlxq's own ended the ingest: {type(error).__name__}. What was done is saved."
            )
            raise CannotDo(message) from error
        finally:
            self._meter.rest(message)
            self._runs.end(run, state, self._meter.read())

    async def _ticking(self, run: int | None) -> int:
        ticker = asyncio.create_task(self._tick(run))
        try:
            return await self._work()
        finally:
            await cancel_and_wait(ticker)
            self._reporter.clear()

    async def _tick(self, run: int | None) -> None:
        told_at = 0.0
        while True:
            progress = self._meter.read()
            if not self._meter.rests:
                self._reporter.progress(progress)
            if run is not None and time.monotonic() - told_at >= HEARTBEAT_S:
                told_at = time.monotonic()
                self._runs.report(run, progress)
            await asyncio.sleep(TICK_S)

    async def _work(self) -> int:
        try:
            if not self._request.watch:
                done = await self._ingestion.ingest()
            else:
                done = await self._watch()
        except Stopped:
            self._reporter.note("Stopped. The same command goes on from here.")
            return STOPPED
        if self._stop.asked.is_set() and not self._request.watch:
            return STOPPED
        return done.exit_code if done else 0

    async def _watch(self) -> Summary | None:
        """Until it is stopped. Returns what was done last."""
        async with FolderWatch(self._request.folders) as watching:
            done = await self._ingestion.ingest(settle_s=SETTLE_S)
            self._reporter.note(f"Watching {', '.join(self._request.folders)}. Ctrl-C ends it.")
            if watching.error:
                self._reporter.note(
                    f"The system does not tell of changes ({watching.error}): the folders are looked at every "
                    f"{BLIND_LOOKED_AGAIN_S:.0f} s."
                )
            while not self._stop.asked.is_set():
                self._meter.rest("watching")
                await self._next_change(watching)
                if self._stop.asked.is_set():
                    break
                try:
                    done = await self._ingestion.ingest(settle_s=SETTLE_S, follows=True) or done
                except CannotDo as error:  # what it needs may come back
                    self._reporter.note(f"{error} It is tried again.")
        return done

    async def _next_change(self, watching: FolderWatch) -> None:
        """Until something has changed, or it is time to look again."""
        wait_s = BLIND_LOOKED_AGAIN_S if watching.error else LOOKED_AGAIN_S
        if self._ingestion.is_unsettled:
            wait_s = SETTLE_S
        changed = asyncio.create_task(watching.changed(wait_s))
        stopped = asyncio.create_task(self._stop.asked.wait())
        try:
            await asyncio.wait((changed, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(changed, stopped)
