"""A small collection for the fuzzer to search: one PDF of two pages, with vectors of any kind."""

import contextlib
import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.collections.collections import Collections
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.points import ChunkFacts, text_point
from ingest.qdrant.connect import connect
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.text.bm25 import document_vector
from tests.fuzz.models import EMBEDDER
from tests.support.documents.pdf import text_pdf
from tests.support.vectors.documents import NOW, store_in

NAME, DIMENSIONS = "documents", 384
TEXTS = ("A lease lasts ten seconds.", "A job that is lost is done again.")


class SearchedCollection(NamedTuple):
    """data: the folder of the store that has it. document: the id of its only one."""

    data: Path
    document: str


@contextlib.contextmanager
def collection(folder: Path) -> Generator[SearchedCollection]:
    """In an embedded store that runs meanwhile."""
    path = folder / "queue.pdf"
    path.write_bytes(text_pdf(*TEXTS))
    document = hashlib.sha256(path.read_bytes()).hexdigest()
    with (
        store_in(folder / "data") as settings,
        contextlib.closing(EmbeddedWriter(settings)) as writer,
        contextlib.closing(connect(settings)) as client,
    ):
        collections = Collections(client, writer)
        collections.ensure(NAME, "text", DIMENSIONS, Fingerprint(EMBEDDER))
        vector = np.full(DIMENSIONS, DIMENSIONS**-0.5, np.float32)
        for number, text in enumerate(TEXTS):
            facts = ChunkFacts(
                *(document, (f"{path}",), number + 1, "", NOW, number, text, "", 0, len(text)),
            )
            collections.upsert(NAME, "text", [text_point(facts, vector, document_vector(text))])
        yield SearchedCollection(settings.data, document)
