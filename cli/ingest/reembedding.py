"""`mlxq ingest reembed`: a collection's documents embedded anew, beside the vectors that are searched meanwhile."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from cli.cannot_do import CannotDo
from cli.ingest.display.amounts import told_count
from cli.ingest.display.summary import Summary
from cli.ingest.ingestion import Ingestion
from cli.ingest.wiring.engine import Engine
from ingest.collections.layout import KINDS, Kind, stored_name
from ingest.manifest.generations import half_of
from ingest.qdrant.presence import stored_collections
from jobs.models import ModelInfo


class Reembedding(Ingestion):
    """May be repeated: it goes on where it was."""

    async def ingest(self, *, settle_s: float = 0, follows: bool = False) -> Summary | None:
        """None: nothing was to be done, or nothing was done. Raises: CannotDo, Stopped."""
        began = time.monotonic()
        kinds = self._kinds_there()
        async with Engine(self._settings, self._reporter.note) as engine:
            models = await self._stop.unless_asked(engine.models(kinds, self._request.models))
            made = await asyncio.to_thread(self._generations, engine, models)
            if not made:
                await self._finish(engine, kinds)
                self._reporter.note(
                    f"The vectors of {self._request.collection!r} are of this making already."
                )
                return None
            halves = [half_of(kind, generation) for kind, generation in made.items()]
            scan = await self._look(self._roots(), halves, settle_s)
            if self._request.dry_run:
                self._preview(halves, scan)
                return None
            self._scanner.write_down(scan)
            self._tell_problems(scan)
            if scan.plan.work:
                await self._embed(engine, scan, {kind: models[kind] for kind in made}, made)
            self._meter.rest("")
            lacking = len(await asyncio.to_thread(self._lacking, engine, made))
            is_whole = not self._stop.asked.is_set() and (not lacking or self._request.yes)
            if is_whole:
                await asyncio.to_thread(engine.generations().switch, self._request.collection, made)
            told_lacking = 0 if is_whole or self._stop.asked.is_set() else lacking
            done = self._sum_up(scan, began, {"lacking": told_lacking})
            if is_whole:
                self._reporter.note(
                    f"Searches in {self._request.collection!r} use these vectors from now on."
                )
                await self._finish(engine, list(made), made)
                await asyncio.to_thread(self._keep_up, engine, scan, ())
        return done

    def _roots(self) -> Sequence[str]:
        return tuple(self._paths.documents(self._request.collection))

    def _kinds_there(self) -> tuple[str, ...]:
        """Those that are asked for, else all that the collection has. Raises: CannotDo."""
        there = self._targets()
        for kind in self._request.kinds or there[:1] or ("text",):
            if kind not in there:
                raise CannotDo(
                    f"The collection {self._request.collection!r} has no {kind} part that could be embedded anew: "
                    "`mlxq ingest FOLDER` makes one."
                )
        return self._request.kinds or there

    def _generations(self, engine: Engine, models: Mapping[str, ModelInfo]) -> dict[Kind, str]:
        """Of the kinds whose vectors would be others now. Raises: CannotDo."""
        from cli.ingest.wiring.embed import target_of
        from ingest.collections.generations import generation_of

        collection, stored = self._request.collection, stored_collections(self._settings)
        found = dict[Kind, str]()
        for kind in KINDS:
            if kind not in models:
                continue
            wanted = target_of(kind, models[kind]).fingerprint
            there = engine.collections().fingerprint(collection, kind)
            if there is not None and there.key == wanted.key:
                if (
                    self._manifest.fingerprint(collection, kind) != wanted.key
                ):  # another machine has made them
                    self._manifest.forget_collection(collection, kind)
                continue
            found[kind] = generation_of(wanted)
            if stored_name(collection, kind, found[kind]) not in stored:
                self._manifest.forget_collection(collection, half_of(kind, found[kind]))
        return found

    def _lacking(self, engine: Engine, made: Mapping[Kind, str]) -> set[str]:
        """Documents of which the vectors that are searched have more than the new ones."""
        collection = self._request.collection
        records = self._manifest.documents(collection)
        successors, lacking = self._paths.successors(collection), set[str]()
        for kind, generation in made.items():
            half = half_of(kind, generation)
            done = {each.document: each for each in records if each.kind == half and each.state == "done"}
            # the manifest may not know all that the store has
            old = dict.fromkeys(
                (each.document for each in engine.collections().documents(collection, kind)), 0
            )
            old |= {
                each.document: each.pages_done for each in records if each.kind == kind and each.pages_done
            }
            for document, pages in old.items():
                new = done.get(document)
                is_less = new is None or new.pages_done < pages
                if is_less and successors.get(document) not in done:
                    lacking.add(document)
        return lacking

    async def _finish(
        self, engine: Engine, kinds: Sequence[str], made: Mapping[Kind, str] | None = None
    ) -> None:
        """What was switched to is written down, and the others go, if they are not to be kept."""
        collection, records = self._request.collection, self._records.generations
        for kind, generation in (made or {}).items():
            records.promote(collection, kind, generation)
        if self._request.keep_old or self._request.dry_run:
            return
        for kind in KINDS:
            if kind not in kinds:
                continue
            removed = await asyncio.to_thread(engine.generations().remove_others, collection, kind)
            records.forget_others(collection, kind)
            if removed:
                self._reporter.note(
                    f"Removed: {told_count(len(removed), 'older collection')} ({', '.join(removed)})."
                )
