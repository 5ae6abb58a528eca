"""The calls of qdrant-client, each against the embedded store."""

from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from tests.support.vectors.pages import ROW, make_collection, max_sim, page, page_id

QUERY = np.random.default_rng(99).normal(size=(3, ROW)).astype(np.float32)


def numbers(found: Any) -> list[int]:
    return [each.payload["page"] for each in found]


def scores(query: np.ndarray) -> dict[int, float]:
    """What numpy makes of the vectors as they are stored: in float16."""
    rows = {number: np.asarray(page(number).vector["original"], np.float16) for number in range(20)}  # pyright: ignore
    return {number: max_sim(query, each.astype(np.float32)) for number, each in rows.items()}


def test_a_collection_is_made_listed_described_and_removed(pages: QdrantClient):
    assert [each.name for each in pages.get_collections().collections] == ["pages"]
    assert pages.collection_exists("pages")
    assert not pages.collection_exists("other")
    info = pages.get_collection("pages")
    assert info.points_count == 20
    assert info.config.metadata == {"made_by": "a test"}
    assert info.payload_schema["document"].data_type == models.PayloadSchemaType.KEYWORD
    assert pages.delete_collection("pages")
    assert not pages.collection_exists("pages")
    assert not pages.delete_collection("pages")


def test_no_multi_vector_gets_a_graph_whatever_was_asked_for(store: QdrantClient):
    store.create_collection(
        "seeds",
        vectors_config={
            "original": models.VectorParams(
                size=ROW,
                distance=models.Distance.COSINE,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                hnsw_config=models.HnswConfigDiff(m=32),
            )
        },
    )
    vectors = store.get_collection("seeds").config.params.vectors
    assert isinstance(vectors, dict)
    assert vectors["original"].hnsw_config == models.HnswConfigDiff(m=0)


def test_the_best_pages_are_those_that_numpy_finds(pages: QdrantClient):
    expected = scores(QUERY)
    best = sorted(expected, key=lambda number: -expected[number])[:10]
    found = pages.query_points("pages", query=QUERY.tolist(), using="original", limit=10).points
    assert numbers(found) == best
    assert [each.score for each in found] == pytest.approx([expected[number] for number in best], rel=1e-3)


def test_a_query_of_one_row_searches_pages_too(pages: QdrantClient):
    expected = scores(QUERY[:1])
    found = pages.query_points("pages", query=QUERY[0].tolist(), using="original", limit=1).points
    assert numbers(found) == [max(expected, key=lambda number: expected[number])]


def test_prefetch_rescores_what_it_has_found(pages: QdrantClient):
    first = pages.query_points("pages", query=[1.0, 0, 0, 0], using="dense", limit=5).points
    found = pages.query_points(
        "pages",
        prefetch=models.Prefetch(query=[1.0, 0, 0, 0], using="dense", limit=5),
        query=QUERY.tolist(),
        using="original",
        limit=20,
    ).points
    expected = scores(QUERY)
    assert numbers(found) == sorted(numbers(first), key=lambda number: -expected[number])


def test_hybrid_search_fuses_ranks(pages: QdrantClient):
    found = pages.query_points(
        "pages",
        prefetch=[
            models.Prefetch(query=page(3).vector["dense"], using="dense", limit=5),  # pyright: ignore
            models.Prefetch(query=models.SparseVector(indices=[3], values=[1.0]), using="bm25", limit=5),
        ],
        query=models.FusionQuery(fusion=models.Fusion.RRF),
        limit=1,
    ).points
    assert numbers(found) == [3]
    # Ranks count from 0 and are added up as 1 / (2 + rank): the first dense one, one of three equal sparse ones.
    assert found[0].score == pytest.approx(1 / 2 + 1 / 2) or found[0].score in (
        pytest.approx(1 / 2 + 1 / 3),
        pytest.approx(1 / 2 + 1 / 4),
    )


def test_a_search_by_id_does_not_find_the_point_itself(pages: QdrantClient):
    found = pages.query_points("pages", query=page_id(3), using="dense", limit=20).points
    assert len(found) == 19
    assert page_id(3) not in {each.id for each in found}


def test_filters_choose_points(pages: QdrantClient):
    where = models.Filter(
        must=[models.FieldCondition(key="page", range=models.Range(gte=6))],
        must_not=[models.FieldCondition(key="document", match=models.MatchAny(any=["d2", "d3"]))],
    )
    assert pages.count("pages", count_filter=where).count == 6
    records, following = pages.scroll("pages", scroll_filter=where, limit=4)
    rest, end = pages.scroll("pages", scroll_filter=where, limit=4, offset=following)
    assert sorted(numbers([*records, *rest])) == [6, 7, 16, 17, 18, 19]
    assert end is None


def test_groups_hold_the_best_of_each_document(pages: QdrantClient):
    expected = scores(QUERY)
    documents = sorted(range(5), key=lambda d: -max(expected[n] for n in range(4 * d, 4 * d + 4)))
    groups = pages.query_points_groups(
        "pages", group_by="document", query=QUERY.tolist(), using="original", limit=5, group_size=2,
        with_payload=["page"],
    ).groups  # fmt: skip
    assert [group.id for group in groups] == [f"d{each}" for each in documents]
    for group, document in zip(groups, documents, strict=True):
        best = sorted(range(4 * document, 4 * document + 4), key=lambda number: -expected[number])[:2]
        assert [hit.payload for hit in group.hits] == [{"page": number} for number in best]


def test_values_are_counted(pages: QdrantClient):
    hits = pages.facet("pages", "document", limit=10).hits
    assert {hit.value: hit.count for hit in hits} == {f"d{each}": 4 for each in range(5)}


def test_points_are_ordered_by_a_field(pages: QdrantClient):
    order = models.OrderByQuery(
        order_by=models.OrderBy(key="page", direction=models.Direction.DESC, start_from=12)
    )
    found = pages.query_points("pages", query=order, limit=3, with_payload=True).points
    assert numbers(found) == [12, 11, 10]


def test_vectors_come_back_as_they_were_stored(pages: QdrantClient):
    (found,) = pages.retrieve("pages", [page_id(5)], with_vectors=True)
    stored: Any = page(5).vector
    assert isinstance(found.vector, dict)
    assert np.allclose(found.vector["original"], stored["original"], atol=2e-3)  # pyright: ignore
    assert np.allclose(found.vector["dense"], stored["dense"] / np.linalg.norm(stored["dense"]), atol=1e-6)  # pyright: ignore
    assert found.vector["bm25"] == stored["bm25"]


def test_payloads_are_set_overwritten_and_cleared(pages: QdrantClient):
    pages.set_payload("pages", {"seen": True}, points=[page_id(0)])
    pages.overwrite_payload("pages", {"page": 1}, points=[page_id(1)])
    pages.delete_payload("pages", ["words"], points=[page_id(2)])
    pages.clear_payload("pages", models.PointIdsList(points=[page_id(3)]))
    found = {each.id: each.payload for each in pages.retrieve("pages", [page_id(n) for n in range(4)])}
    assert found[page_id(0)] == {**(page(0).payload or {}), "seen": True}
    assert found[page_id(1)] == {"page": 1}
    assert found[page_id(2)] == {"document": "d0", "page": 2}
    assert found[page_id(3)] == {}


def test_points_are_deleted_by_id_and_by_filter(pages: QdrantClient):
    pages.delete("pages", models.PointIdsList(points=[page_id(0)]))
    where = models.Filter(must=[models.FieldCondition(key="document", match=models.MatchValue(value="d4"))])
    pages.delete("pages", models.FilterSelector(filter=where))
    assert pages.count("pages").count == 15


def test_a_batch_of_updates_is_done_in_order(pages: QdrantClient):
    done = pages.batch_update_points(
        "pages",
        [
            models.UpsertOperation(upsert=models.PointsList(points=[page(30)])),
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload={"new": 1}, points=[page_id(30)])
            ),
            models.DeleteOperation(delete=models.PointIdsList(points=[page_id(0)])),
            models.UpdateVectorsOperation(
                update_vectors=models.UpdateVectors(
                    points=[models.PointVectors(id=page_id(1), vector={"dense": [0, 0, 0, 1.0]})]
                )
            ),
            models.DeleteVectorsOperation(
                delete_vectors=models.DeleteVectors(points=[page_id(2)], vector=["dense"])
            ),
        ],
    )
    assert [each.status for each in done] == [models.UpdateStatus.COMPLETED] * 5
    assert pages.count("pages").count == 20
    found = {
        each.id: each
        for each in pages.retrieve("pages", [page_id(30), page_id(1), page_id(2)], with_vectors=["dense"])
    }
    assert (found[page_id(30)].payload or {})["new"] == 1
    assert found[page_id(1)].vector == {"dense": [0, 0, 0, 1.0]}
    assert found[page_id(2)].vector == {}


def test_points_are_uploaded_in_batches_and_columns(store: QdrantClient):
    make_collection(store, pages=0)
    store.upload_points("pages", [page(number) for number in range(10)], batch_size=3)
    store.upsert(
        "pages",
        models.Batch(
            ids=[1, 2], vectors={"dense": [[1.0, 0, 0, 0], [0, 1.0, 0, 0]]}, payloads=[{"page": 100}, {"page": 101}]
        ),
    )  # fmt: skip
    assert store.count("pages").count == 12
    assert store.retrieve("pages", [2])[0].payload == {"page": 101}


def test_settings_that_only_a_server_has_a_use_for_are_accepted(store: QdrantClient):
    store.create_collection(
        "tuned",
        vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=100, default_segment_number=4),
        wal_config=models.WalConfigDiff(wal_capacity_mb=1),
    )
    store.upload_collection("tuned", np.eye(2, dtype=np.float32), [{"page": 1}, {"page": 2}], ids=[1, 2])
    (found,) = store.query_points("tuned", query=[0.1, 1.0], limit=1).points
    assert (found.id, found.payload) == (2, {"page": 2})


def test_an_upsert_may_be_bound_to_a_condition(pages: QdrantClient):
    changed = page(0).model_copy(update={"payload": {"page": 0, "seen": 1}})
    none = models.Filter(must=[models.FieldCondition(key="page", match=models.MatchValue(value=99))])
    pages.upsert("pages", [changed], update_filter=none)
    assert pages.retrieve("pages", [page_id(0)])[0].payload == page(0).payload
    pages.upsert("pages", [changed, page(40)], update_mode=models.UpdateMode.INSERT_ONLY)
    assert pages.retrieve("pages", [page_id(0)])[0].payload == page(0).payload
    assert pages.count("pages").count == 21


def test_a_collection_without_names_for_its_vectors_works(store: QdrantClient):
    store.create_collection("plain", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    store.upsert(
        "plain", [models.PointStruct(id=1, vector=[1.0, 0.0]), models.PointStruct(id=2, vector=[0, 1.0])]
    )
    assert store.query_points("plain", query=[0.2, 1.0], limit=1).points[0].id == 2
    assert store.retrieve("plain", [1], with_vectors=True)[0].vector == [1.0, 0.0]


def test_collections_move_to_another_store_and_back(pages: QdrantClient):
    elsewhere = QdrantClient(":memory:")
    with pytest.warns(UserWarning, match="Payload indexes have no effect in the local Qdrant"):
        pages.migrate(elsewhere, ["pages"])
    assert elsewhere.count("pages").count == 20
    pages.delete_collection("pages")
    elsewhere.migrate(pages, ["pages"])
    expected = scores(QUERY)
    found = pages.query_points("pages", query=QUERY.tolist(), using="original", limit=5).points
    assert numbers(found) == sorted(expected, key=lambda number: -expected[number])[:5]
