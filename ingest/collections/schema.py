"""What Qdrant is told when a collection is made."""

from typing import NamedTuple

from qdrant_client import models

from ingest.collections import layout
from ingest.collections.layout import Kind

NO_GRAPH = models.HnswConfigDiff(m=0)
"""A graph over the rows of whole pages takes hours to build and finds nothing faster (qdrant#5702)."""

_MAX_SIM = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)

_KEYWORD = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD)
_PATH = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True)
_NUMBER = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=True)


class Schema(NamedTuple):
    """Vectors by name, and the indices of the payload by field."""

    vectors: dict[str, models.VectorParams]
    sparse: dict[str, models.SparseVectorParams]
    indices: dict[str, models.KeywordIndexParams | models.IntegerIndexParams]

    @property
    def sizes(self) -> dict[str, int]:
        """Of the dense vectors, by name."""
        return {name: params.size for name, params in self.vectors.items()}


def schema(kind: Kind, dimensions: int) -> Schema:
    """dimensions: of the model's vectors."""
    indices: dict[str, models.KeywordIndexParams | models.IntegerIndexParams]
    indices = {layout.DOCUMENT: _KEYWORD, layout.PATHS: _PATH, layout.PAGE: _NUMBER}
    if kind == "visual":
        # Only regions and tiles of every page are read for a search: the patches may stay on the disk.
        means = {name: _rows(dimensions, on_disk=False) for name in (layout.TILES, layout.REGIONS)}
        return Schema({layout.PATCHES: _rows(dimensions, on_disk=True), **means}, {}, indices)
    dense = models.VectorParams(size=dimensions, distance=models.Distance.COSINE)
    words = models.SparseVectorParams(modifier=models.Modifier.IDF)
    return Schema({layout.DENSE: dense}, {layout.BM25: words}, {**indices, layout.CHUNK: _NUMBER})


def _rows(dimensions: int, *, on_disk: bool) -> models.VectorParams:
    return models.VectorParams(
        size=dimensions,
        distance=models.Distance.DOT,  # rows have unit length already
        datatype=models.Datatype.FLOAT16,
        multivector_config=_MAX_SIM,
        hnsw_config=NO_GRAPH,
        on_disk=on_disk,
    )
