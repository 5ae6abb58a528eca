"""Points as ingest makes them."""

import numpy as np
import pytest

from ingest.collections import layout
from ingest.collections.points import ChunkFacts, PageFacts, VectorsUnusable, text_point, visual_point
from jobs.embed import PatchGrid

PAGE = PageFacts("ab" * 32, ("/a.pdf", "/b.pdf"), 4, "iv", "2026-11-27T06:00:00+00:00")
CHUNK = ChunkFacts(
    "ab" * 32, ("/a.pdf",), 4, "iv", "2026-11-27T06:00:00+00:00", 7, "Hello", "Letters", 10, 15
)


def unit(rows: int, dimension: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_page_has_patches_tiles_and_regions_and_says_where_it_is():
    point = visual_point(PAGE, unit(40), [PatchGrid(2, 6, 6)])
    assert point.id == layout.page_id(PAGE.document, 4)
    assert point.vectors[layout.PATCHES].shape == (40, 8)
    assert point.vectors[layout.TILES].shape == (6, 8)
    assert point.vectors[layout.REGIONS].shape == (1, 8)
    assert {each.dtype for each in point.vectors.values()} == {np.dtype(np.float16)}
    assert point.payload == {
        "document": "ab" * 32,
        "paths": ["/a.pdf", "/b.pdf"],
        "page": 4,
        "label": "iv",
        "ingested_at": "2026-11-27T06:00:00+00:00",
        "grids": [[2, 6, 6]],
    }


def test_a_chunk_has_its_text_and_both_vectors():
    point = text_point(CHUNK, unit(1)[0], ([3, 5], [1.0, 2.0]))
    assert point.id == layout.chunk_id(CHUNK.document, 7)
    assert point.vectors[layout.DENSE].shape == (8,)
    assert point.sparse == {layout.BM25: ([3, 5], [1.0, 2.0])}
    assert {name: point.payload[name] for name in ("chunk", "text", "heading", "start", "end")} == {
        "chunk": 7, "text": "Hello", "heading": "Letters", "start": 10, "end": 15,
    }  # fmt: skip


def test_a_point_has_the_same_id_whenever_it_is_made():
    assert layout.page_id("ab", 1) == layout.page_id("ab", 1)
    others = [layout.page_id("ab", 2), layout.page_id("ba", 1), layout.chunk_id("ab", 1)]
    assert len({layout.page_id("ab", 1), *others}) == 4


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (np.full((2, 8), np.nan, np.float32), "NaN"),
        (np.full((2, 8), np.inf, np.float16), "infinite"),
        (np.zeros((1 << 17, 8), np.float16), "Lower the pixels"),
        (np.zeros((0, 8), np.float16), "shape"),
        (np.zeros(8, np.float16), "shape"),
    ],
)
def test_vectors_that_cannot_be_right_are_refused(vectors: np.ndarray, says: str):
    with pytest.raises(VectorsUnusable, match=says):
        visual_point(PAGE, vectors, [])


def test_the_largest_page_that_a_server_takes_is_taken():
    assert visual_point(PAGE, np.ones((8191, 128), np.float16), []).vectors[layout.PATCHES].shape == (
        8191,
        128,
    )
    with pytest.raises(VectorsUnusable):
        visual_point(PAGE, np.ones((8192, 128), np.float16), [])


def test_names_in_qdrant_tell_the_collection_and_its_kind():
    assert layout.parted_name(layout.stored_name("my-papers", "visual")) == ("my-papers", "visual")
    assert layout.parted_name("papers") is None
    assert layout.parted_name("-text") is None
