"""Small made-up pages for tests of the vector store."""

import uuid

import numpy as np
from qdrant_client import QdrantClient, models

ROW, DENSE = 8, 4
"""Dimensions of the vectors `original` and `dense`."""


def page_id(number: int) -> str:
    """The same for the same page."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"page {number}"))


def page(number: int, rows: int = 5) -> models.PointStruct:
    """A page of document number // 4, with a multi-vector, a dense and a sparse one."""
    chance = np.random.default_rng(number)
    return models.PointStruct(
        id=page_id(number),
        vector={
            "original": chance.normal(size=(rows + number % 3, ROW)).round(3).tolist(),
            "dense": chance.normal(size=DENSE).round(3).tolist(),
            "bm25": models.SparseVector(indices=[number % 7, 9], values=[1.0, 0.5]),
        },
        payload={"document": f"d{number // 4}", "page": number, "words": f"page number {number}"},
    )


def make_collection(client: QdrantClient, name: str = "pages", pages: int = 20) -> None:
    """With that many pages and indices of document and page."""
    client.create_collection(
        name,
        vectors_config={
            "original": models.VectorParams(
                size=ROW,
                distance=models.Distance.DOT,
                datatype=models.Datatype.FLOAT16,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
            "dense": models.VectorParams(size=DENSE, distance=models.Distance.COSINE),
        },
        sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        metadata={"made_by": "a test"},
    )
    client.create_payload_index(name, "document", models.PayloadSchemaType.KEYWORD)
    client.create_payload_index(
        name, "page", models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=True)
    )
    if pages:
        client.upsert(name, [page(number) for number in range(pages)])


def max_sim(query: np.ndarray, rows: np.ndarray) -> float:
    """The score of a page: for each row of the query its best row of the page, added up (ColBERT, section 3.3)."""
    return float((query @ rows.T).max(axis=1).sum())
