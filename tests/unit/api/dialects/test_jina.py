"""Jina's reranking."""

import base64
import math
from array import array
from typing import Any

import httpx
import pytest

from api.fetch.image_source import GuardedImageSource
from jobs.content import ImagePart, TextPart
from jobs.errors import InputTooLong, InvalidInput, NoWorker
from jobs.job import Lane
from jobs.rerank import RerankJob, RerankResult
from jobs.settings import Settings
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.rerank_requests import DOCUMENTS, QUERY, RANKING, TOKENS, last_reranking, ranking
from tests.unit.api.conftest import Connect

BODY: dict[str, Any] = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS}
LONG = "word " * RERANK_MODEL.max_tokens


class FakeImages:
    """Serves b"picture of URL"; an address with "bad" in it cannot be fetched."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetch(self, url: str, *, param: str) -> bytes:
        self.asked.append(url)
        if "bad" in url:
            raise InvalidInput(f"{url} cannot be fetched.", param=param)
        return f"picture of {url}".encode()

    async def check(self, data: bytes, *, param: str) -> None:
        if data.startswith(b"no picture"):
            raise InvalidInput("This is not a picture.", param=param)


async def rerank(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/rerank", json={**BODY, **fields})


async def detail(client: httpx.AsyncClient, **fields: Any) -> str:
    """The message of a refusal, in Jina's envelope."""
    reply = await rerank(client, **fields)
    assert reply.status_code == 400
    assert list(reply.json()) == ["detail"]
    return reply.json()["detail"]


async def test_documents_are_ranked_and_shown(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    reply = await rerank(rerank_client)
    assert reply.json() == {
        "id": reply.json()["id"],
        "model": RERANK_MODEL.id,
        "usage": {"prompt_tokens": TOKENS, "total_tokens": TOKENS},
        "results": [
            {"index": index, "relevance_score": score, "document": {"text": DOCUMENTS[index]}}
            for index, score in RANKING
        ],
    }
    assert last_reranking(reranker) == RerankJob(RERANK_MODEL.id, QUERY, tuple(DOCUMENTS))
    assert reranker.submitted[0][1].lane is Lane.INTERACTIVE


async def test_only_the_best_are_given_without_their_texts_if_asked(rerank_client: httpx.AsyncClient):
    reply = await rerank(rerank_client, top_n=2, return_documents=False)
    assert reply.json()["results"] == [
        {"index": index, "relevance_score": score} for index, score in RANKING[:2]
    ]
    assert reply.json()["usage"]["total_tokens"] == TOKENS


@pytest.mark.parametrize("top_n", [9, 0, 0.0, 3.0, None])
async def test_more_than_there_are_and_zero_are_all(rerank_client: httpx.AsyncClient, top_n: float | None):
    assert ranking(await rerank(rerank_client, top_n=top_n)) == RANKING


async def test_equal_scores_keep_the_documents_order(rerank_client: httpx.AsyncClient):
    reply = await rerank(rerank_client, documents=["fox", "red", "red fox", "fox den"])
    assert ranking(reply) == [(2, 1.0), (0, 0.5), (1, 0.5), (3, 0.5)]


async def test_objects_are_read_and_shown_as_they_came(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    documents = [
        {"text": "red fox"},
        {"image": OPAQUE_BASE64},
        {"text": "red", "image": f"data:image/png;base64,{OPAQUE_BASE64}"},
    ]
    reply = await rerank(rerank_client, query={"text": QUERY}, documents=documents)
    assert [each["document"] for each in reply.json()["results"]] == [
        documents[0],
        documents[2],
        documents[1],
    ]
    image = ImagePart(OPAQUE)
    job = last_reranking(reranker)
    assert (job.query, job.documents) == (QUERY, ("red fox", (image,), (image, TextPart("red"))))


async def test_pictures_are_fetched_for_query_and_documents(connect: Connect, reranker: MemoryQueue):
    documents = ["a fox", {"image": "https://a/2"}]
    await rerank(connect(reranker, FakeImages()), query={"image": "http://a/1"}, documents=documents)
    job = last_reranking(reranker)
    assert job.query == (ImagePart(b"picture of http://a/1"),)
    assert job.documents == ("a fox", (ImagePart(b"picture of https://a/2"),))


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://bad", "cannot be fetched"), (base64.b64encode(b"no picture").decode(), "not a picture")],
)
async def test_a_picture_that_cannot_be_had_names_its_document(
    connect: Connect, reranker: MemoryQueue, url: str, why: str
):
    message = await detail(connect(reranker, FakeImages()), documents=["a", {"image": url}])
    assert message.startswith("documents[1].image: ") and why in message
    assert not reranker.submitted


async def test_a_private_address_is_not_fetched(connect: Connect, reranker: MemoryQueue):
    images = GuardedImageSource(Settings())
    message = await detail(connect(reranker, images), documents=[{"image": "http://127.0.0.1:6379/"}])
    assert message.startswith("documents[0].image: http://127.0.0.1:6379/ ")
    assert not reranker.submitted
    await images.aclose()


async def test_without_a_fetcher_addresses_are_refused(rerank_client: httpx.AsyncClient):
    message = await detail(rerank_client, query={"image": "https://a/1"})
    assert message.startswith("query.image: this server fetches no images")


@pytest.mark.parametrize("name", ["truncate", "truncation"])
async def test_an_overlong_document_is_cut_only_if_asked(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, name: str
):
    assert await detail(rerank_client, documents=["a", LONG]) == "documents[1] is too long."
    assert not last_reranking(reranker).truncate
    reply = await rerank(rerank_client, documents=["a", LONG], **{name: True})
    assert reply.status_code == 200
    assert last_reranking(reranker).truncate


async def test_a_request_may_say_more_than_jinas(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    reply = await rerank(rerank_client, raw_scores=True, instruction="Find animals.", unheard_of=1)
    assert ranking(reply) == [(1, 2.0), (2, 1.0), (0, 0.0)]
    assert last_reranking(reranker).instruction == "Find animals."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"documents": []}, "documents is empty."),
        ({"documents": ["a", ""]}, "documents[1] is empty."),
        ({"documents": ["a", {"text": ""}]}, "documents[1] is empty."),
        ({"documents": [{"title": "a"}]}, "documents[0] needs a text or an image."),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"documents": ""}, "documents is empty."),
        ({"documents": [{"image": "%%%"}]}, "documents[0].image: not valid base64"),
        ({"query": ""}, "query is empty."),
        ({"query": {}}, "query needs a text or an image."),
        ({"query": None}, "query"),
        ({"top_n": -1}, "top_n"),
        ({"truncate": True, "truncation": False}, "truncate and truncation contradict"),
        ({"return_embeddings": True}, "return_embeddings"),
        ({"max_doc_length": 100}, "max_doc_length"),
        ({"max_query_length": 100}, "max_query_length"),
    ],
)
async def test_a_bad_field_is_named(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, fields: dict[str, Any], words: str
):
    assert (await detail(rerank_client, **fields)).startswith(words)
    assert not reranker.submitted


async def test_nothing_is_fetched_for_a_request_that_is_refused_anyway(
    connect: Connect, reranker: MemoryQueue
):
    images = FakeImages()
    await detail(connect(reranker, images), query={"image": "http://a/1"}, documents=["a", ""])
    assert not images.asked


async def test_the_number_of_documents_is_limited(connect: Connect, reranker: MemoryQueue):
    client = connect(reranker, max_inputs=2)
    assert await detail(client) == "documents has 3 items; at most 2 are allowed."
    assert (await rerank(client, documents=DOCUMENTS[:2])).status_code == 200


async def test_a_body_that_is_no_json_is_answered_in_jinas_envelope(rerank_client: httpx.AsyncClient):
    reply = await rerank_client.post("/v1/rerank", content=b"{")
    assert reply.status_code == 400
    assert "JSON" in reply.json()["detail"]


async def test_a_body_over_the_limit_is_answered_in_the_callers_envelope(
    connect: Connect, reranker: MemoryQueue
):
    client = connect(reranker, max_body_bytes=1024)
    body = {**BODY, "query": "a" * 1024}
    assert "larger than 1024 bytes" in (await client.post("/v1/rerank", json=body)).json()["detail"]
    reply = await client.post("/v1/rerank", json=body, headers={"X-Fern-SDK-Name": "cohere"})
    assert (reply.status_code, list(reply.json())) == (413, ["message"])


async def test_an_unknown_model_and_no_worker_are_told_in_jinas_envelope(
    connect: Connect, rerank_client: httpx.AsyncClient
):
    unknown = await rerank(rerank_client, model="none")
    assert unknown.status_code == 404
    assert RERANK_MODEL.id in unknown.json()["detail"]
    idle = await rerank(connect(MemoryQueue(models=())))
    assert (idle.status_code, idle.json()) == (503, {"detail": NoWorker().message})
    assert idle.headers["retry-after"]


async def test_a_failed_job_is_answered_like_a_refused_one(connect: Connect):
    queue = MemoryQueue(models=(RERANK_MODEL,), failure=InputTooLong("Too long.", param="documents"))
    assert await detail(connect(queue)) == "Too long."


@pytest.mark.parametrize(
    "result",
    [
        RerankResult(array("f", [math.nan, 1.0]).tobytes(), (1, 1)),
        RerankResult(array("f", [math.inf, 1.0]).tobytes(), (1, 1)),
        RerankResult(array("f", [1.0]).tobytes(), (1, 1)),
    ],
    ids=["nan", "infinite", "short"],
)
async def test_scores_that_are_none_are_never_handed_out(connect: Connect, result: RerankResult):
    class Broken(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return result

    reply = await rerank(connect(Broken(models=(RERANK_MODEL,))), documents=["a", "b"])
    assert reply.status_code == 500
    assert "nternal error" in reply.json()["detail"]


async def test_a_reranking_may_be_waited_for_later(rerank_client: httpx.AsyncClient):
    headers = {"Prefer": "respond-async"}
    accepted = await rerank_client.post("/v1/rerank", json=BODY, headers=headers)
    assert (accepted.status_code, accepted.json()["task"]) == (202, "rerank")
    view = (await rerank_client.get(accepted.headers["location"])).json()
    shown = (await rerank(rerank_client, return_documents=False)).json()
    assert view["result"]["id"] == f"rerank-{view['id']}"
    assert (view["status"], view["result"]) == ("finished", {**shown, "id": view["result"]["id"]})


async def test_the_same_key_gets_the_same_job(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    headers = {"Idempotency-Key": "k"}
    for _ in range(2):
        assert (await rerank_client.post("/v1/rerank", json=BODY, headers=headers)).status_code == 200
    other = await rerank_client.post("/v1/rerank", json={**BODY, "query": "other"}, headers=headers)
    assert (other.status_code, list(other.json())) == (409, ["detail"])
    assert len(reranker.submitted) == 1


async def test_a_reranking_is_a_job_as_others_are(connect: Connect, reranker: MemoryQueue):
    client = connect(reranker, FakeImages())
    body = {**BODY, "task": "rerank", "documents": [*DOCUMENTS, {"image": "http://a/1"}], "lane": "bulk"}
    reply = await client.post("/v1/jobs", json=body)
    assert reply.status_code == 202
    job, options = reranker.submitted[0]
    assert isinstance(job, RerankJob)
    assert (job.documents[3], options.lane) == ((ImagePart(b"picture of http://a/1"),), Lane.BULK)
    view = (await client.get(f"/v1/jobs/{reply.json()['id']}")).json()
    assert (view["task"], view["model"], view["status"]) == ("rerank", RERANK_MODEL.id, "finished")
    assert [each["index"] for each in view["result"]["results"]] == [1, 2, 0, 3]


async def test_a_bad_field_of_a_job_is_named_in_openais_envelope(rerank_client: httpx.AsyncClient):
    reply = await rerank_client.post("/v1/jobs", json={**BODY, "task": "rerank", "documents": []})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "documents")
