"""The store's requests and replies are those of Qdrant's API document, and its refusals say what to do."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from ingest.store.operations import OPERATIONS
from tests.support.vectors.pages import ROW, make_collection, page, page_id
from tests.support.vectors.qdrant_api import Recorder, faults
from tests.support.vectors.store import client_of, opened, serving

VECTOR = [0.5] * ROW
PLAIN = models.VectorParams(size=2, distance=models.Distance.DOT)
ELSEWHERE = models.LookupLocation(collection="a")
NAMED = models.CreateAliasOperation(
    create_alias=models.CreateAlias(alias_name="current", collection_name="pages")
)
LIKE = models.RecommendQuery(recommend=models.RecommendInput(positive=[1]))


def every_call(client: QdrantClient) -> None:
    """Each operation of the store at least once."""
    where = models.Filter(must=[models.FieldCondition(key="page", range=models.Range(gte=3))])
    ids: list[Any] = [page_id(1)]
    client.get_collections()
    client.get_aliases()
    client.collection_exists("pages")
    make_collection(client)
    client.get_collection("pages")
    client.update_collection_aliases([NAMED])
    client.get_collection_aliases("pages")
    client.count("pages", count_filter=where)
    client.retrieve("pages", ids, with_vectors=True)
    client.http.points_api.get_point("pages", page_id(1))  # pyright: ignore
    client.scroll("pages", limit=3, with_vectors=True)
    client.facet("pages", "document")
    client.query_points("pages", query=[VECTOR], using="original", with_vectors=True)
    client.query_points("pages", query=models.OrderByQuery(order_by="page"))
    client.query_batch_points("pages", [models.QueryRequest(query=[VECTOR], using="original")])
    client.query_points_groups("pages", group_by="document", query=[VECTOR], using="original")
    client.set_payload("pages", {"a": 1}, points=ids)
    client.overwrite_payload("pages", {"a": 1}, points=where)
    client.delete_payload("pages", ["a"], points=where)
    client.clear_payload("pages", models.PointIdsList(points=ids))
    client.update_vectors("pages", [models.PointVectors(id=ids[0], vector={"dense": [1.0, 0, 0, 0]})])
    client.delete_vectors("pages", ["dense"], points=ids)
    client.batch_update_points("pages", [models.DeleteOperation(delete=models.FilterSelector(filter=where))])
    client.delete("pages", models.PointIdsList(points=ids))
    client.delete_payload_index("pages", "page")
    client.delete_collection("pages")


def test_every_request_and_reply_is_as_the_api_document_says(tmp_path: Path):
    recorder = Recorder(StoreApp(Catalog(tmp_path / "collections")).app)
    socket = tmp_path / "sock"
    with serving(recorder, socket), contextlib.closing(client_of(socket)) as client:
        every_call(client)
    assert recorder.faults == []
    answered = {(method, f"/collections/{{collection_name}}/{path}") for method, path in OPERATIONS}
    assert answered | {("POST", "/collections/aliases")} <= recorder.seen


@pytest.mark.parametrize(
    ("method", "path", "request_body", "reply", "fault"),
    [
        ("POST", "points/count", {"exact": "yes"}, {"result": {"count": 1}}, "request"),
        ("POST", "points/count", {}, {"result": {"count": "many"}}, "reply"),
        ("POST", "points/query", {"limit": 0}, {"result": {"points": []}}, "request"),
    ],
)
def test_the_document_catches_what_is_wrong(
    method: str, path: str, request_body: object, reply: dict[str, object], fault: str
):
    body, full = json.dumps(request_body).encode(), {**reply, "status": "ok", "time": 0.1}
    found = faults(method, f"/collections/a/{path}", body, 200, json.dumps(full).encode())
    assert any(f": {fault}: " in each for each in found)


def refused(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(UnexpectedResponse) as caught:
        call()
    assert caught.value.status_code is not None
    return caught.value.status_code, json.loads(caught.value.content)["status"]["error"]


def dense(*numbers: float) -> list[models.PointStruct]:
    return [models.PointStruct(id=1, vector={"dense": list(numbers)})]


def rows(count: int) -> list[models.PointStruct]:
    return [models.PointStruct(id=1, vector={"original": [VECTOR] * count})]


@pytest.mark.parametrize(
    ("call", "status", "says"),
    [
        (lambda c: c.upsert("pages", dense(1, 2)), 400, "expected dim: 4, got 2"),
        (lambda c: c.upsert("pages", dense(1, 2, 3, 1e39)), 400, "NaN or infinite"),
        (lambda c: c.upsert("pages", rows((1 << 20) // ROW)), 422, "Make fewer rows"),
        (lambda c: c.upsert("pages", [models.PointStruct(id=1, vector={"new": [1.0]})]), 400, "There is: 'original'"),
        (lambda c: c.upsert("pages", [models.PointStruct(id=1, vector={"original": [1.0] * ROW})]), 400, "rows of"),
        (lambda c: c.upsert("pages", [models.PointStruct(id=1, vector={"dense": [[1.0] * 4]})]), 400, "one list of"),
        (lambda c: c.upsert("pages", [models.PointStruct(id="x", vector={})]), 400, "no point ID"),
        (lambda c: c.upsert("pages", [models.PointStruct(id=-1, vector={})]), 400, "no point ID"),
        (lambda c: c.upsert("none", dense(1, 2, 3, 4)), 404, "`none` doesn't exist"),
        (lambda c: c.query_points("pages", query=[1.0], using="dense"), 400, "expected dim: 4, got 1"),
        (lambda c: c.query_points("pages", query=page_id(99), using="dense"), 404, "No point with id"),
        (lambda c: c.query_points("pages", query=[1.0] * 4, using="dense", limit=0), 400, "at least 1"),
        (lambda c: c.query_points("pages", query=[1.0] * 4, using="dense", lookup_from=ELSEWHERE), 501, "QDRANT_URL"),
        (lambda c: c.query_points("pages", query=LIKE), 501, "RecommendQuery"),
        (lambda c: c.create_collection("pages", vectors_config=PLAIN), 409, "already exists"),
        (lambda c: c.create_collection("a:b", vectors_config=PLAIN), 400, "none of them may be"),
        (lambda c: c.create_collection("new", vectors_config={}), 400, "needs `vectors`"),
        (lambda c: c.create_collection("new", vectors_config=PLAIN, shard_number=2), 501, "shard_number"),
        (lambda c: c.create_snapshot("pages"), 501, "snapshots"),
        (lambda c: c.update_collection("pages", metadata={"a": 1}), 501, "make another one"),
        (lambda c: c.facet("pages", "words"), 400, "words"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_and_says_what_to_do(
    pages: QdrantClient, call: Callable[[QdrantClient], object], status: int, says: str
):
    found, message = refused(lambda: call(pages))
    assert (found, says in message) == (status, True), message
    assert pages.count("pages").count == 20  # nothing of it was done


def test_a_misspelt_field_is_refused_and_named(tmp_path: Path):
    with opened(tmp_path / "collections") as client:
        make_collection(client)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "collections.sock"))) as raw:
            reply = raw.post("http://store/collections/pages/points/count", json={"filtre": {}})
    assert reply.status_code == 400
    assert "filtre" in reply.json()["status"]["error"]


def test_a_point_with_a_bad_vector_keeps_the_whole_batch_out(pages: QdrantClient):
    status, _ = refused(lambda: pages.upsert("pages", [page(50), *dense(1, 2)]))
    assert status == 400
    assert pages.count("pages").count == 20
