"""A CollectionSearch with all that it needs, for a process or a command."""

import contextlib
from collections.abc import AsyncGenerator, Iterable

from ingest.documents.reader import DocumentReader
from ingest.manifest.database import Database, ManifestUnusable
from ingest.manifest.manifest import manifest_path
from ingest.manifest.paths import PathRecords
from ingest.pages.files import DocumentFiles
from ingest.pages.viewer import PageViewer
from ingest.qdrant.connect import connect_async
from ingest.queries.perform import Queue
from ingest.search.service import CollectionSearch
from jobs.settings import Settings


@contextlib.asynccontextmanager
async def opened_search(settings: Settings, queue: Queue) -> AsyncGenerator[CollectionSearch]:
    """Nothing is asked of the store, and no process is started, before it is needed. queue: who made it closes it."""
    client = connect_async(settings)
    try:
        async with DocumentReader(processes=1) as reader:
            files = DocumentFiles(lambda document: known_paths(settings, document))
            yield CollectionSearch(client, queue, PageViewer(reader, files), settings)
    finally:
        await client.close()


def known_paths(settings: Settings, document: str) -> Iterable[str]:
    """Where the manifest has the document, as the file system has the paths. Empty where there is no manifest here."""
    try:
        database = Database(manifest_path(settings), read_only=True)
    except (FileNotFoundError, ManifestUnusable):
        return ()
    with contextlib.closing(database):
        return PathRecords(database).anywhere(document)
