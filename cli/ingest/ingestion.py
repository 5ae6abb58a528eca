"""One look at the folders, and what follows: documents ingested, paths told, what is gone removed."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from cli.cannot_do import CannotDo
from cli.ingest.display.amounts import told_bytes, told_count
from cli.ingest.display.meter import Meter
from cli.ingest.display.reporters import Reporter
from cli.ingest.display.summary import Summary
from cli.ingest.estimate import preview_of
from cli.ingest.problems_file import problems_path, write_problems
from cli.ingest.prune import agreed_removals
from cli.ingest.records import Records
from cli.ingest.request import IngestRequest
from cli.ingest.stop import Stop
from cli.ingest.tally import failed_before, summary_of, tally
from cli.ingest.wiring.engine import Engine
from cli.ingest.wiring.ledger import Ledger
from ingest.collections.layout import CURRENT, KINDS, Kind, stored_name
from ingest.manifest.manifest import manifest_path
from ingest.manifest.records import NOT_A_DOCUMENT, ProblemRecord
from ingest.qdrant.presence import stored_collections
from ingest.scan.scanner import Scan, Scanner, ScanProgress
from ingest.scan.upkeep import Upkeep
from jobs.models import ModelInfo
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings


class Ingestion:
    """May be repeated, as a watch does."""

    def __init__(
        self,
        settings: Settings,
        request: IngestRequest,
        reporter: Reporter,
        records: Records,
        stop: Stop,
        meter: Meter,
    ) -> None:
        self._settings = settings
        self._request = request
        self._reporter = reporter
        self._records = records
        self._manifest, self._paths, self._runs = records.manifest, records.paths, records.runs
        self._stop = stop
        self._meter = meter
        self._scanner = Scanner(self._manifest, self._paths, request.collection)
        self._lost: frozenset[str] | None = None
        """Documents that lay nowhere at the last look. None: there was none."""
        self._kept: frozenset[str] = frozenset()
        """Documents that lay nowhere before a watch began."""
        self.is_unsettled = False
        """Whether to look again soon: files may still be being written, or come back."""

    async def ingest(self, *, settle_s: float = 0, follows: bool = False) -> Summary | None:
        """follows: what has vanished since the first look is removed. None: nothing was done.

        Raises: CannotDo, Stopped.
        """
        began = time.monotonic()
        roots = self._roots()
        if not roots:
            self._reporter.note(f"Nothing has failed in {self._request.collection!r}.")
            return None
        async with Engine(self._settings, self._reporter.note) as engine:
            kinds = await self._kinds(engine)
            scan = await self._look(roots, kinds, settle_s)
            if self._request.dry_run:
                self._preview(kinds, scan)
                return None
            self._scanner.write_down(scan)
            self._tell_problems(scan)
            if scan.plan.work:
                asked = engine.models(kinds, self._request.models, self._request.collection)
                self._meter.rest("")
                await self._embed(engine, scan, await self._stop.unless_asked(asked))
            self._meter.rest("")
            removed = await self._removed(scan, follows=follows)
            more = await asyncio.to_thread(self._keep_up, engine, scan, removed)
        return self._sum_up(scan, began, more)

    def _roots(self) -> Sequence[str]:
        """Of a retry: where what has failed lies."""
        if not self._request.retry:
            return self._request.folders
        failed = {
            each.document
            for each in self._manifest.documents(self._request.collection)
            if each.state == "failed" or each.pages_failed
        }
        paths = self._paths.documents(self._request.collection)
        return [
            *(path for path, document in paths.items() if document in failed),
            *self._paths.problem_paths(self._request.collection),
        ]

    async def _kinds(self, engine: Engine) -> tuple[str, ...]:
        """Those that are asked for, else those that the collection has, else those that can be made."""
        there = self._targets()
        if self._request.is_new and there and self._lost is None:
            raise CannotDo(
                f"The collection {self._request.collection!r} is there already: take another name for --into, or -c "
                f"{self._request.collection} to ingest into it."
            )
        if kinds := self._request.kinds or there:
            return kinds
        return tuple(await self._stop.unless_asked(engine.models((), self._request.models)))

    def _targets(self) -> tuple[str, ...]:
        """The kinds that the collection has. One that the store has lost is forgotten. Raises: CannotDo."""
        collection = self._request.collection
        kinds: list[Kind] = [kind for kind in KINDS if self._manifest.fingerprint(collection, kind)]
        try:
            stored = stored_collections(self._settings)
        except StoreUnavailable as error:
            if self._request.dry_run:
                return tuple(kinds)
            raise CannotDo(error.message) from error
        there = [kind for kind in kinds if self._is_stored(kind, stored)]
        for kind in kinds:
            if kind not in there:
                self._manifest.forget_collection(collection, kind)
                self._reporter.note(
                    f"The {kind} part of {collection!r} is not in the store any more: it is made anew."
                )
        return tuple(there)

    def _is_stored(self, kind: Kind, stored: Mapping[str, str]) -> bool:
        """That another generation was switched to is written down, if it is not yet."""
        collection = self._request.collection
        if (current := stored.get(stored_name(collection, kind, CURRENT))) is not None:
            self._records.generations.promote(collection, kind, current.rpartition("@")[2])
        return current is not None or stored_name(collection, kind) in stored

    async def _look(self, roots: Sequence[str], kinds: Sequence[str], settle_s: float) -> Scan:
        progress = ScanProgress()
        self._meter.look(progress)
        retried = None if self._request.retry or self._request.reembed else frozenset[str]()
        if self._request.passwords:
            retried = retried if retried is None else frozenset({"encrypted"})
        return await asyncio.to_thread(
            self._scanner.scan,
            roots,
            kinds,
            retried=retried,
            settle_s=settle_s,
            progress=progress,
            stop=self._stop.of_threads,
        )

    async def _embed(
        self,
        engine: Engine,
        scan: Scan,
        models: dict[str, ModelInfo],
        made: Mapping[Kind, str] | None = None,
    ) -> None:
        """made: generations that are filled, by kind."""
        from cli.ingest.wiring.embed import ingest_documents  # heavy, and not needed where nothing is new

        loop = asyncio.get_running_loop()

        def tell(problem: ProblemRecord) -> None:
            loop.call_soon_threadsafe(self._reporter.problem, problem)

        named, by_half = self._request.folders, {f"{kind}": each for kind, each in (made or {}).items()}
        ledger = Ledger(self._records, self._request.collection, named, tell, by_half)
        self._say_begin(scan, models)
        await ingest_documents(
            engine, self._request, scan, models, ledger, self._stop, on_begin=self._meter.work, made=made
        )

    def _say_begin(self, scan: Scan, models: dict[str, ModelInfo]) -> None:
        size = sum(scan.files[each.paths[0]].size_bytes for each in scan.plan.work)
        made_by = ", ".join(f"{kind} by {info.id}" for kind, info in models.items())
        self._reporter.note(
            f"Ingesting {told_count(len(scan.plan.work), 'document')} ({told_bytes(size)}) into "
            f"{self._request.collection!r}: {made_by}."
        )

    def _tell_problems(self, scan: Scan) -> None:
        for each in self._manifest.problems(self._request.collection):
            if not each.document and each.path in scan.problems:
                self._reporter.problem(each)

    def _preview(self, kinds: Sequence[str], scan: Scan) -> None:
        self._meter.rest("")
        guess, runs = self._manifest.pages_per_byte(), self._runs.list(self._request.collection)
        before = failed_before(
            scan, self._manifest.documents(self._request.collection), self._request.folders
        )
        self._reporter.preview(preview_of(self._request, kinds, scan, before, guess, runs))

    def _keep_up(self, engine: Engine, scan: Scan, removed: Sequence[str]) -> dict[str, int]:
        """What the collection is told of paths and of documents that are gone. Opens the store only if it must."""
        pending = self._paths.relisted(self._request.collection) or self._paths.replaced(
            self._request.collection
        )
        if not pending and not removed:
            return {"gone": len(scan.plan.lost)}
        upkeep = Upkeep(self._manifest, self._paths, engine.collections(), self._request.collection)
        upkeep.tell_paths()
        replaced = upkeep.remove_replaced()
        pruned = upkeep.remove(removed)
        return {"replaced": replaced, "pruned": pruned, "gone": max(0, len(scan.plan.lost) - pruned)}

    async def _removed(self, scan: Scan, *, follows: bool) -> Sequence[str]:
        """The documents to be removed. A watch sees them missing twice: a file may be on its way elsewhere."""
        lost = frozenset(scan.plan.lost)
        before, self._lost = self._lost, lost
        if not follows:
            agreed = await agreed_removals(self._request, scan, self._reporter, self._stop.asked)
            self._kept = lost - frozenset(agreed)
            return agreed
        vanished = (lost - self._kept) if not scan.empty_roots else frozenset[str]()
        settled = vanished & (before or frozenset())
        self.is_unsettled = bool(scan.fresh or vanished - settled)
        return sorted(settled)

    def _sum_up(self, scan: Scan, began: float, more: Mapping[str, int]) -> Summary:
        collection = self._request.collection
        named = set(self._request.folders)
        records = self._manifest.documents(collection)
        path = problems_path(manifest_path(self._settings).parent, collection)
        problems = self._manifest.problems(collection)
        write_problems(path, problems)
        took_s = time.monotonic() - began
        facts = {**more, "collection": collection, "took_s": took_s, "errors_file": f"{path}"}
        counted = tally(scan.plan.work, records, named)
        done = summary_of(scan, counted, failed_before(scan, records, named), facts)
        here = set(scan.documents.values())
        told = [
            each
            for each in problems
            if not each.is_warning
            and (each.document in here or each.path in scan.problems)
            and (each.kind != NOT_A_DOCUMENT or each.path in named)
        ]
        self._reporter.summary(done, told)
        return done
