"""`mlxq eval`: how well pages are found, by each way of searching."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from cli.cannot_do import CannotDo
from cli.evaluation.judged import documents_of, of_bookmarks, of_generated, of_qrels
from cli.evaluation.table import table
from cli.processes import event_loop
from cli.search.connected import connected
from ingest.evaluate.comparison import Comparison, compare
from ingest.evaluate.generated.corpus import MAX_PAGES, generate
from ingest.evaluate.judgements import Judged
from ingest.evaluate.modes import modes_of
from ingest.search.service import CollectionSearch
from jobs.errors import JobError
from jobs.search.documents import DocumentInfo
from jobs.search.query import Kind
from jobs.settings import Settings

GENERATED = "generated-{pages}.pdf"


def eval(settings: Settings, options: argparse.Namespace) -> int:
    """Raises: CannotDo."""
    _check(options)
    if options.generate is not None:
        return _write_generated(Path(options.generate), options.pages)
    try:
        comparison, told = event_loop.run(_evaluate(settings, options))
    except JobError as error:
        raise CannotDo(error.message) from error
    if options.json:
        print(msgspec.json.encode(comparison).decode())
        return 0
    for line in table(comparison, told):
        print(line)
    return 0


async def _evaluate(settings: Settings, options: argparse.Namespace) -> tuple[Comparison, str]:
    async with connected(settings) as searches:
        documents = await documents_of(searches, options.collection)
        judged, told = await _judged(searches, documents, options)
        kinds = await searches.vector_bytes(options.collection)
        comparison = await compare(
            searches,
            options.collection,
            judged,
            modes_of(kinds, options.rerank),
            await _bytes_per_page(searches, documents, options.collection, kinds),
            options.depth,
            _Progress(len(judged)),
        )
    return comparison, f"{told}, in the collection {options.collection}"


async def _judged(
    searches: CollectionSearch, documents: Sequence[DocumentInfo], options: argparse.Namespace
) -> tuple[list[Judged], str]:
    if options.qrels is not None:
        return of_qrels(documents, Path(options.qrels), Path(options.queries), options.limit)
    if options.generated:
        return await of_generated(searches, options.collection, options.pages, options.limit)
    return await of_bookmarks(searches, documents, options.limit)


async def _bytes_per_page(
    searches: CollectionSearch,
    documents: Sequence[DocumentInfo],
    collection: str,
    kinds: Mapping[Kind, Mapping[str, float]],
) -> dict[str, float]:
    """By the vectors' names: several chunks may be of one page."""
    info = {each.name: each for each in await searches.list_collections()}[collection]
    pages = max(1, sum(each.pages for each in documents))
    return {
        name: size * part.points / pages
        for part in info.parts
        for name, size in kinds.get(part.kind, {}).items()
    }


def _check(options: argparse.Namespace) -> None:
    if (options.qrels is None) != (options.queries is None):
        raise CannotDo("--qrels and --queries go together: what is right, and what is asked.")
    if options.pages > MAX_PAGES:
        raise CannotDo(f"--pages {options.pages}: the generated document has at most {MAX_PAGES}.")


def _write_generated(folder: Path, pages: int) -> int:
    path = folder / GENERATED.format(pages=pages)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(generate(pages).pdf)
    asked = f" --pages {pages}" if pages != 200 else ""
    print(f"{path} is written. Next:\n  mlxq ingest {folder} --into generated")
    print(f"  mlxq eval -c generated --generated{asked}")
    return 0


class _Progress:
    """On a terminal, the number of queries that are done."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shows = sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        if self._shows:
            end = "\r" if done < self._total else "\r\x1b[K"
            print(f"{done}/{self._total} queries", end=end, file=sys.stderr, flush=True)
