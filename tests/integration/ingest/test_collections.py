"""Collections of documents, in the embedded store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models

from ingest.collections.collections import Collections
from ingest.collections.documents import StoredDocument
from ingest.collections.fingerprint import Fingerprint, FingerprintMismatch
from ingest.qdrant.connect import connect
from ingest.qdrant.embedded_writer import EmbeddedWriter
from jobs.settings import Settings
from tests.support.vectors.documents import COLSMALL, DIMENSION, MINILM, NOW, chunk, page, store_in


@pytest.fixture
def client(tmp_path: Path) -> Iterator[QdrantClient]:
    with store_in(tmp_path) as settings, contextlib.closing(connect(settings)) as client:
        yield client


@pytest.fixture
def collections(client: QdrantClient, tmp_path: Path) -> Iterator[Collections]:
    with contextlib.closing(EmbeddedWriter(Settings(data=tmp_path))) as writer:
        yield Collections(client, writer)


def filled(collections: Collections) -> None:
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)
    collections.upsert(
        "papers", "visual", [page(document, n) for document in ("a", "b", "c") for n in (1, 2, 3)]
    )
    collections.ensure("papers", "text", DIMENSION, MINILM)
    collections.upsert("papers", "text", [chunk(document, n) for document in ("a", "b") for n in range(4)])


def test_a_collection_has_both_vectors_indices_and_its_fingerprint(
    collections: Collections, client: QdrantClient
):
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)
    info = client.get_collection("papers-visual")
    vectors = info.config.params.vectors
    assert isinstance(vectors, dict)
    for name in ("patches", "tiles", "regions"):
        assert vectors[name].datatype == models.Datatype.FLOAT16
        assert vectors[name].hnsw_config == models.HnswConfigDiff(m=0)
    assert sorted(info.payload_schema) == ["document", "page", "paths"]
    assert collections.fingerprint("papers", "visual") == COLSMALL
    assert collections.fingerprint("papers", "text") is None
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)  # is there already


@pytest.mark.parametrize(
    ("other", "dimension", "says"),
    [
        (Fingerprint("colsmall", "d9", "602,112 pixels a page"), DIMENSION, "--into NEW"),
        (Fingerprint("colsmall", "d1", "301,056 pixels a page"), DIMENSION, "301,056 pixels"),
        (COLSMALL, 4, "patches of 4 numbers"),
    ],
)
def test_vectors_of_another_making_are_refused(
    collections: Collections, other: Fingerprint, dimension: int, says: str
):
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)
    with pytest.raises(FingerprintMismatch, match=says):
        collections.ensure("papers", "visual", dimension, other)


def test_another_name_of_the_same_model_is_the_same_making(collections: Collections):
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)
    collections.ensure("papers", "visual", DIMENSION, Fingerprint("alias", COLSMALL.digest, COLSMALL.made_by))


def test_a_collection_of_somebody_else_is_left_alone(collections: Collections, client: QdrantClient):
    client.create_collection(
        "papers-text", vectors_config=models.VectorParams(size=DIMENSION, distance=models.Distance.DOT)
    )
    with pytest.raises(FingerprintMismatch, match="not made by mlxq"):
        collections.ensure("papers", "text", DIMENSION, MINILM)


def test_an_index_that_a_crash_left_out_is_made_up_for(collections: Collections, client: QdrantClient):
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)
    client.delete_payload_index("papers-visual", "paths")
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)
    assert "paths" in client.get_collection("papers-visual").payload_schema


def test_documents_are_listed_with_what_there_is_of_them(collections: Collections, client: QdrantClient):
    filled(collections)
    client.delete("papers-visual", models.PointIdsList(points=[page("b", 1).id]))  # its first page has failed
    found = {each.document: each for each in collections.documents("papers", "visual")}
    assert {name: each.points for name, each in found.items()} == {"a": 3, "b": 2, "c": 3}
    assert found["b"] == StoredDocument("b", ("/papers/b.pdf",), 2, NOW)
    assert {each.document: each.points for each in collections.documents("papers", "text")} == {
        "a": 4,
        "b": 4,
    }
    assert collections.names() == {"papers": ("visual", "text")}


def test_a_document_that_moved_is_found_under_its_new_paths(collections: Collections, client: QdrantClient):
    filled(collections)
    collections.set_paths("papers", "a", ["/new/a.pdf", "/copy/a.pdf"])
    for stored, points in (("papers-visual", 3), ("papers-text", 4)):
        under = models.FieldCondition(key="paths", match=models.MatchPrefix(prefix="/new/"))
        assert client.count(stored, models.Filter(must=[under])).count == points
        old = models.FieldCondition(key="paths", match=models.MatchValue(value="/papers/a.pdf"))
        assert client.count(stored, models.Filter(must=[old])).count == 0


def test_documents_that_are_gone_leave_both_kinds(collections: Collections):
    filled(collections)
    collections.remove_documents("papers", ["a", "b"])
    assert [each.document for each in collections.documents("papers", "visual")] == ["c"]
    assert list(collections.documents("papers", "text")) == []


def test_ingesting_a_page_again_replaces_it(collections: Collections, client: QdrantClient):
    filled(collections)
    collections.upsert("papers", "visual", [page("a", 1)])
    assert client.count("papers-visual").count == 9
