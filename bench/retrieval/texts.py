"""Writes a collection's chunks and the queries of its bookmarks into a file. MLXQ_DATA names the store's folder."""

import argparse
import asyncio
from pathlib import Path

import msgspec

from cli.evaluation.judged import documents_of, of_bookmarks
from cli.ingest.wiring.chunking import chunker_for
from cli.search.connected import connected_with_queue
from ingest.collections import layout
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.generations import stored_halves
from ingest.qdrant.connect import connect
from ingest.queries.embedding import serving
from ingest.text.chunk import titled
from jobs.settings import Settings


class ExportedChunk(msgspec.Struct):
    """page: "document#number"."""

    page: str
    text: str


class ExportedQuery(msgspec.Struct):
    """pages: those that are right."""

    text: str
    pages: list[str]


class Exported(msgspec.Struct):
    chunks: list[ExportedChunk]
    queries: list[ExportedQuery]


async def exported(collection: str, limit: int) -> Exported:
    settings = Settings()
    client = connect(settings)
    stored = stored_halves(client)[collection, "text"]
    maker = Fingerprint.of(client.get_collection(stored).config.metadata)
    assert maker is not None, f"{stored} was not made by mlxq"
    async with connected_with_queue(settings) as (searches, queue):
        chunker = chunker_for(serving(maker, await queue.models()), settings.models)
        documents = await documents_of(searches, collection)
        judged, _ = await of_bookmarks(searches, documents, limit)
    queries = [ExportedQuery(each.query, [str(key) for key in each.grades]) for each in judged]
    chunks = list[ExportedChunk]()
    offset = None
    while True:
        records, offset = client.scroll(stored, limit=500, offset=offset)
        for record in records:
            payload = record.payload or {}
            page = f"{payload[layout.DOCUMENT]}#{payload[layout.PAGE]}"
            text = payload[layout.TEXT]
            title = chunker.title(payload[layout.HEADING], text)
            chunks.append(ExportedChunk(page, titled(title, text)))
        if offset is None:
            return Exported(chunks, queries)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-c", "--collection", default="documents")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    options.file.write_bytes(msgspec.json.encode(asyncio.run(exported(options.collection, options.limit))))
