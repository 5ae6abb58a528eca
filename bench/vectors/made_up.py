"""Made-up pages of 736 vectors, as ColQwen2.5 makes of an A4 page, and queries that are about some of what is on one.

A page is parted into blocks of 1 to 3 by 2 to 6 patches (a few words, a piece of a figure). All patches of a block
share a concept, of 20,000 that are as unevenly frequent as words; a page shares a topic with 19 others (a document);
noise that is the same in fields of 3 by 3 patches stands for what neighbours have in common besides, and each patch has
noise of its own. So the cosine of neighbours is 0.69 from left to right and 0.57 from above to below, 0.17 for patches
far apart on the page and 0.02 for those of other pages. That real pages are so is a guess: their neighbours are alike,
too, but here is no trained model to measure it by.

A query has 20 vectors: three for each of four neighbouring blocks, with noise, and eight that all queries have nearly
alike, as the padding of ColQwen's queries is.
"""

from typing import Any, NamedTuple

import numpy as np

from jobs.embed import PatchGrid

ROWS, COLUMNS, DIMENSION = 32, 23, 128
GRID = PatchGrid(0, ROWS, COLUMNS)
CONCEPTS, DOCUMENT_PAGES, FIELD = 20_000, 20, 3
CONCEPT, TOPIC, FIELD_NOISE, OWN_NOISE = 0.7, 0.4, 0.35, 0.35
"""What a patch is made of: lengths of the parts."""

BLOCKS, FOR_EACH, QUERY_NOISE, PADDING = 4, 3, 0.6, 8

Rows = np.ndarray[Any, np.dtype[np.float32]]


class Layout(NamedTuple):
    """blocks: the concept of each patch, (ROWS, COLUMNS). concepts: of the blocks, in reading order."""

    blocks: np.ndarray[Any, np.dtype[np.int64]]
    concepts: np.ndarray[Any, np.dtype[np.int64]]


class MadeUp:
    """Deterministic: the same number gives the same page."""

    def __init__(self) -> None:
        chance = np.random.default_rng(1)
        self._concepts = _unit(chance.normal(size=(CONCEPTS, DIMENSION)))
        self._padding = _unit(chance.normal(size=(PADDING, DIMENSION)))

    def page(self, number: int) -> Rows:
        """(736, 128), float32, of unit length, row by row."""
        chance = np.random.default_rng((2, number))
        topic = _unit(np.random.default_rng((3, number // DOCUMENT_PAGES)).normal(size=DIMENSION))
        concepts = self._concepts[_layout(chance).blocks]
        fields = _unit(chance.normal(size=(-(-ROWS // FIELD), -(-COLUMNS // FIELD), DIMENSION)))
        shared = fields.repeat(FIELD, axis=0)[:ROWS].repeat(FIELD, axis=1)[:, :COLUMNS]
        own = chance.standard_normal((ROWS, COLUMNS, DIMENSION), np.float32) * (OWN_NOISE / DIMENSION**0.5)
        mixed = CONCEPT * concepts + TOPIC * topic + FIELD_NOISE * shared + own
        return _unit(mixed).reshape(-1, DIMENSION)

    def query(self, number: int, page: int) -> Rows:
        """(20, 128), about that page."""
        concepts = _layout(np.random.default_rng((2, page))).concepts
        chance = np.random.default_rng((4, number))
        first = chance.integers(0, max(1, len(concepts) - BLOCKS))
        about = self._concepts[concepts[first : first + BLOCKS]].repeat(FOR_EACH, axis=0)
        asked = _unit(about + QUERY_NOISE * _unit(chance.normal(size=about.shape)))
        padding = _unit(self._padding + 0.3 * _unit(chance.normal(size=self._padding.shape)))
        return np.concatenate([asked, padding]).astype(np.float32)


def _layout(chance: np.random.Generator) -> Layout:
    blocks = np.zeros((ROWS, COLUMNS), np.int64)
    concepts: list[int] = []
    row = 0
    while row < ROWS:
        height, column = int(chance.integers(1, 4)), 0
        while column < COLUMNS:
            width = int(chance.integers(2, 7))
            concept = (
                min(int(CONCEPTS ** chance.random()), CONCEPTS) - 1
            )  # the n-th is 1/n as frequent as the first
            blocks[row : row + height, column : column + width] = concept
            concepts.append(concept)
            column += width
        row += height
    return Layout(blocks, np.array(concepts))


def _unit(rows: Any) -> Rows:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
