"""Small made-up documents for tests of collections and of searches in them."""

import contextlib
from collections.abc import Generator
from pathlib import Path

import numpy as np

from ingest.collections.fingerprint import Fingerprint
from ingest.collections.points import ChunkFacts, PageFacts, text_point, visual_point
from ingest.qdrant.bulk import BulkPoint
from ingest.qdrant.folder import vector_folder
from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from jobs.embed import PatchGrid
from jobs.settings import Settings
from tests.support.vectors.store import serving

DIMENSION = 8
COLSMALL = Fingerprint("colsmall", "d1", "602,112 pixels a page")
MINILM = Fingerprint("minilm", "d2", "chunks of 256 tokens")
NOW = "2026-11-27T06:00:00+00:00"


@contextlib.contextmanager
def store_in(data: Path) -> Generator[Settings]:
    """The embedded store answers where it does in that data folder."""
    settings = Settings(data=data)
    folder = vector_folder(settings)
    folder.hold()
    with serving(StoreApp(Catalog(folder.path / "shards")).app, folder.socket):
        yield settings
    folder.release()


def unit(seed: int, rows: int) -> np.ndarray:
    """Rows of unit length, the same for the same seed."""
    vectors = np.random.default_rng(seed).normal(size=(rows, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def page(document: str, number: int) -> BulkPoint:
    """Of 36 patches, with the label p1 for page 1."""
    facts = PageFacts(document, (f"/papers/{document}.pdf",), number, f"p{number}", NOW)
    return visual_point(facts, page_vectors(document, number), [PatchGrid(0, 6, 6)])


def page_vectors(document: str, number: int) -> np.ndarray:
    """Of that page, (36, dimension)."""
    return unit(1000 * ord(document[0]) + number, 36)


def chunk(document: str, number: int, words: tuple[int, ...] = (1,)) -> BulkPoint:
    """Two to a page."""
    facts = ChunkFacts(
        document,
        (f"/papers/{document}.pdf",),
        number // 2 + 1,
        "",
        NOW,
        number,
        f"text {number}",
        "Letters",
        0,
        6,
    )
    return text_point(facts, chunk_vector(document, number), (list(words), [1.0] * len(words)))


def chunk_vector(document: str, number: int) -> np.ndarray:
    """Of that chunk, (dimension,)."""
    return unit(5000 * ord(document[0]) + number, 1)[0]
