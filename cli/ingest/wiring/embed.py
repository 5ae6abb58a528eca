"""The documents of a plan, through the pipeline."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from cli.cannot_do import CannotDo
from cli.ingest.display.meter import WorkCounts
from cli.ingest.request import IngestRequest
from cli.ingest.stop import Stop
from cli.ingest.wiring.chunking import chunk_size, chunker_for
from cli.ingest.wiring.engine import Engine
from cli.ingest.wiring.ledger import Ledger
from ingest.collections.fingerprint import FingerprintMismatch
from ingest.collections.layout import KINDS, Kind
from ingest.documents.reader import DocumentReader
from ingest.documents.source import FileVersion
from ingest.manifest.generations import kind_of
from ingest.manifest.manifest import FingerprintChanged
from ingest.manifest.path import shown_path
from ingest.pipeline.pipeline import Pipeline
from ingest.pipeline.progress import Progress
from ingest.pipeline.waits import PipelineStopped
from ingest.pipeline.work import DocumentWork, Target, text_target, visual_target
from ingest.scan.plan import PlannedDocument
from ingest.scan.scanner import Scan
from ingest.text.bm25 import document_vector
from jobs.blobs.store import blob_store
from jobs.models import ModelInfo
from jobs.process.processor import cores
from jobs.store.connection import connect, redis_url

HELD_UP = {"reading": "reading", "device": "the device", "store": "the store", "": ""}


def target_of(kind: str, model: ModelInfo) -> Target:
    """What fills that half of a collection."""
    return visual_target(model) if kind == "visual" else text_target(model, *chunk_size(model))


async def ingest_documents(
    engine: Engine,
    request: IngestRequest,
    scan: Scan,
    models: dict[str, ModelInfo],
    ledger: Ledger,
    stop: Stop,
    on_begin: Callable[[Callable[[], WorkCounts]], None],
    made: Mapping[Kind, str] | None = None,
) -> None:
    """Returns when all is done or failed, or what was begun is, after a stop. on_begin: gets what counts. made:
    generations that are filled, as those of the ledger.

    Raises: CannotDo.
    """
    specs = (*request.models, *engine.settings.models)
    chunking = await asyncio.to_thread(chunker_for, models["text"], specs) if "text" in models else None
    processes = max(1, min(4, cores() // 2))
    with connect(redis_url(engine.settings)) as connection:
        async with DocumentReader(processes) as reader:
            pipeline = Pipeline(
                request.collection,
                [target_of(kind, model) for kind, model in models.items()],
                reader=reader,
                queue=await engine.queue(),
                blobs=blob_store(engine.settings, connection),
                collections=engine.collections(made),
                ledger=ledger,
                chunking=chunking,
                words=document_vector if chunking else None,
                documents=processes + 1,
            )
            sizes = {each.document: scan.files[each.paths[0]].size_bytes for each in scan.plan.work}
            on_begin(lambda: _counts(pipeline.progress, ledger, sizes))
            stop.when_asked(pipeline.stop)
            try:
                await pipeline.run(_work(scan, request.passwords))
            except (PipelineStopped, FingerprintMismatch, FingerprintChanged) as error:
                raise CannotDo(f"{error}") from error


async def _work(scan: Scan, passwords: tuple[str, ...]) -> AsyncIterator[DocumentWork]:
    for each in scan.plan.work:
        yield _document(each, scan, passwords)


def _document(each: PlannedDocument, scan: Scan, passwords: tuple[str, ...]) -> DocumentWork:
    found = scan.files[each.paths[0]]
    return DocumentWork(
        document=each.document,
        path=Path(found.path),
        paths=tuple(shown_path(path) for path in each.paths),
        kinds=tuple(kind for kind in KINDS if kind in map(kind_of, each.kinds)),
        passwords=passwords,
        version=FileVersion(found.size_bytes, found.mtime_ns),
    )


def _counts(progress: Progress, ledger: Ledger, sizes: dict[str, int]) -> WorkCounts:
    kinds, others = progress.kinds.values(), len(ledger.not_documents)
    return WorkCounts(
        documents_total=len(sizes),
        documents_done=progress.documents_done,
        documents_failed=progress.documents_failed - others,
        not_documents=others,
        pages_failed=max((each.pages_failed for each in kinds), default=0),
        read=max((each.read for each in kinds), default=0),
        embedded=sum(each.embedded for each in kinds),
        stored=sum(each.stored for each in kinds),
        pages_done=max((each.pages_done for each in kinds), default=0),
        bytes_total=sum(sizes.values()),
        bytes_done=sum(sizes.get(document, 0) for document in tuple(ledger.ended)),
        held_up_by=HELD_UP[progress.held_up_by],
        waiting_for=progress.waiting_for,
    )
