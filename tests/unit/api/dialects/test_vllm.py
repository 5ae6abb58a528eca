"""vLLM's scores of pairs."""

from typing import Any

import httpx
import pytest

from jobs.content import ImagePart
from jobs.rerank import RerankJob
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.rerank_requests import DOCUMENTS, QUERY, TOKENS, last_reranking
from tests.unit.api.conftest import Connect


async def score(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    return await client.post("/v1/score", json={"model": RERANK_MODEL.id, **fields}, headers=headers)


def scores(reply: httpx.Response) -> list[float]:
    data = reply.json()["data"]
    assert [each["index"] for each in data] == list(range(len(data)))
    assert {each["object"] for each in data} == {"score"}
    return [each["score"] for each in data]


async def refused_field(client: httpx.AsyncClient, **fields: Any) -> str:
    reply = await score(client, **fields)
    assert reply.status_code == 400
    return reply.json()["error"]["param"]


async def test_one_text_is_scored_with_many(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    reply = await score(rerank_client, text_1=QUERY, text_2=DOCUMENTS)
    assert scores(reply) == [0.0, 1.0, 0.5]
    body = reply.json()
    assert body["id"].startswith("score-")
    assert (body["object"], body["model"]) == ("list", RERANK_MODEL.id)
    assert body["usage"] == {"prompt_tokens": TOKENS, "total_tokens": TOKENS}
    assert last_reranking(reranker) == RerankJob(RERANK_MODEL.id, QUERY, tuple(DOCUMENTS))


async def test_one_text_is_scored_with_one(rerank_client: httpx.AsyncClient):
    assert scores(await score(rerank_client, text_1=QUERY, text_2="red")) == [0.5]
    assert scores(await score(rerank_client, text_1=[QUERY], text_2=["red", "fox red"])) == [0.5, 1.0]


async def test_pairs_are_scored_in_their_order(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    reply = await score(rerank_client, text_1=["red", "blue", "red"], text_2=["red", "red", "blue"])
    assert scores(reply) == [1.0, 0.0, 0.0]
    assert reply.json()["usage"]["prompt_tokens"] == 6
    jobs = [job for job, _ in reranker.submitted]
    assert jobs == [
        RerankJob(RERANK_MODEL.id, "red", ("red", "blue")),
        RerankJob(RERANK_MODEL.id, "blue", ("red",)),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [("queries", "documents"), ("queries", "items"), ("data_1", "data_2"), ("text_1", "documents")],
)
async def test_the_sides_go_by_several_names(rerank_client: httpx.AsyncClient, first: str, second: str):
    assert scores(await score(rerank_client, **{first: QUERY, second: DOCUMENTS})) == [0.0, 1.0, 0.5]
    assert await refused_field(rerank_client, **{first: QUERY, second: []}) == second


async def test_the_model_need_not_be_named_where_one_reranks(rerank_client: httpx.AsyncClient):
    assert scores(await score(rerank_client, model=None, text_1=QUERY, text_2="red")) == [0.5]


async def test_pictures_are_scored_too(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    reply = await score(
        rerank_client, text_1={"image": OPAQUE_BASE64}, text_2=["a", {"image": OPAQUE_BASE64}]
    )
    assert scores(reply) == [0.0, 1.0]
    assert last_reranking(reranker).documents == ("a", (ImagePart(OPAQUE),))


@pytest.mark.parametrize("name", ["use_activation", "activation", "softmax"])
async def test_without_activation_scores_are_raw(rerank_client: httpx.AsyncClient, name: str):
    fields: dict[str, Any] = {"text_1": QUERY, "text_2": DOCUMENTS, name: False}
    assert scores(await score(rerank_client, **fields)) == [0.0, 2.0, 1.0]


@pytest.mark.parametrize("way", [{"truncate": True}, {"truncate_prompt_tokens": -1}])
async def test_an_overlong_document_is_cut_only_if_asked(
    rerank_client: httpx.AsyncClient, way: dict[str, Any]
):
    text = "word " * RERANK_MODEL.max_tokens
    assert await refused_field(rerank_client, text_1=QUERY, text_2=text) == "documents"
    assert (await score(rerank_client, text_1=QUERY, text_2=text, **way)).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"text_1": "a"}, "text_2"),
        ({"text_2": "a"}, "text_1"),
        ({"text_1": "a", "queries": "a", "text_2": "a"}, "queries"),
        ({"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}, "text_1"),
        ({"text_1": ["a", "b"], "text_2": "a"}, "text_1"),
        ({"text_1": [], "text_2": "a"}, "text_1"),
        ({"text_1": "a", "text_2": ["a", ""]}, "text_2"),
        ({"text_1": "a", "text_2": "b", "truncate_prompt_tokens": 10}, "truncate_prompt_tokens"),
    ],
)
async def test_a_bad_field_is_named(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, fields: dict[str, Any], param: str
):
    assert await refused_field(rerank_client, **fields) == param
    assert not reranker.submitted


async def test_the_number_of_pairs_is_limited(connect: Connect, reranker: MemoryQueue):
    client = connect(reranker, max_inputs=2)
    assert await refused_field(client, text_1="a", text_2=DOCUMENTS) == "text_2"
    assert await refused_field(client, text_1=DOCUMENTS, text_2=DOCUMENTS) == "text_1"


async def test_one_query_may_be_waited_for_later_but_not_several(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    later = {"Prefer": "respond-async"}
    accepted = await score(rerank_client, later, text_1=QUERY, text_2=DOCUMENTS)
    assert (accepted.status_code, accepted.json()["task"]) == (202, "rerank")
    several = await score(rerank_client, later, text_1=["a", "b"], text_2=["a", "b"])
    assert (several.status_code, several.json()["error"]["param"]) == (400, "Prefer")
    assert len(reranker.submitted) == 1


async def test_a_side_that_is_null_is_not_called_missing(rerank_client: httpx.AsyncClient):
    reply = await rerank_client.post("/v1/score", json={"text_1": None, "text_2": "a"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "text_1")
    assert reply.json()["error"]["message"] == "Send text_1 (or queries, data_1)."
