"""What Cohere's own clients see, and what plain requests in the shapes of Jina, TEI and vLLM get."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import cohere
import httpx
import pytest
from cohere.errors import (
    BadRequestError,
    GatewayTimeoutError,
    NotFoundError,
    ServiceUnavailableError,
    TooManyRequestsError,
)

from jobs.errors import Overloaded, TimeLimitExceeded
from tests.conformance.conftest import Serve, serving
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.waiting import PATIENCE_S

QUERY = "deep learning"
DOCUMENTS = ["the weather is nice", "deep learning uses networks", "learning to swim"]
RANKING = [(1, 1.0), (2, 0.5), (0, 0.0)]
TOKENS = 17


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with serving(MemoryQueue(models=(MODEL, RERANK_MODEL))) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def v1(base_url: str) -> Iterator[cohere.Client]:
    with cohere.Client("unused", base_url=base_url, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def v2(base_url: str) -> Iterator[cohere.ClientV2]:
    with cohere.ClientV2("unused", base_url=base_url, max_retries=0) as client:
        yield client


def test_coheres_first_client_ranks(v1: cohere.Client):
    reply = v1.rerank(model=RERANK_MODEL.id, query=QUERY, documents=DOCUMENTS)
    assert [(each.index, each.relevance_score) for each in reply.results] == RANKING
    assert [each.document for each in reply.results] == [None] * 3
    meta = reply.meta
    assert reply.id and meta and meta.api_version and meta.billed_units and meta.tokens
    assert (meta.api_version.version, meta.billed_units.search_units) == ("1", 1)
    assert meta.tokens.input_tokens == TOKENS


def test_coheres_first_client_gets_the_documents_it_asks_for(v1: cohere.Client):
    documents = [{"title": "one", "text": text} for text in DOCUMENTS]
    reply = v1.rerank(query=QUERY, documents=documents, top_n=2, return_documents=True, max_chunks_per_doc=1)
    found = [each.document for each in reply.results]
    assert [document and document.text for document in found] == [DOCUMENTS[1], DOCUMENTS[2]]
    assert [document and document.model_dump() for document in found] == [documents[1], documents[2]]


def test_coheres_first_client_ranks_by_fields(v1: cohere.Client):
    documents = [{"title": "learning", "text": "a"}, {"title": "deep", "text": "learning"}]
    reply = v1.rerank(query=QUERY, documents=documents, rank_fields=["title", "text"])
    assert [(each.index, each.relevance_score) for each in reply.results] == [(1, 1.0), (0, 0.5)]


def test_coheres_second_client_ranks(v2: cohere.ClientV2):
    reply = v2.rerank(
        model=RERANK_MODEL.id, query=QUERY, documents=DOCUMENTS, top_n=2, max_tokens_per_doc=4096
    )
    assert [(each.index, each.relevance_score) for each in reply.results] == RANKING[:2]
    assert reply.id and reply.meta and reply.meta.api_version
    assert reply.meta.api_version.version == "2"


def test_coheres_asynchronous_clients_rank(base_url: str):
    async def rank() -> list[list[int]]:
        asked = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS}
        async with cohere.AsyncClient("unused", base_url=base_url) as first:
            one = await first.rerank(**asked)
        async with cohere.AsyncClientV2("unused", base_url=base_url) as second:
            two = await second.rerank(**asked)
        return [[each.index for each in reply.results] for reply in (one, two)]

    assert asyncio.run(rank()) == [[1, 2, 0]] * 2


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_coheres_clients_raise_their_own_errors(version: str, request: pytest.FixtureRequest):
    client = request.getfixturevalue(version)
    with pytest.raises(NotFoundError) as unknown:
        client.rerank(model="none", query=QUERY, documents=DOCUMENTS)
    assert "none" in unknown.value.body["message"]
    with pytest.raises(BadRequestError) as empty:
        client.rerank(model=RERANK_MODEL.id, query=QUERY, documents=[])
    assert empty.value.body == {"message": "documents is empty."}
    with pytest.raises(BadRequestError) as other_task:
        client.rerank(model=MODEL.id, query=QUERY, documents=DOCUMENTS)
    assert "/v1/embeddings" in other_task.value.body["message"]


@pytest.mark.parametrize(
    ("queue", "kind"),
    [
        (MemoryQueue(models=()), ServiceUnavailableError),
        (MemoryQueue(models=(RERANK_MODEL,), failure=Overloaded()), TooManyRequestsError),
        (MemoryQueue(models=(RERANK_MODEL,), failure=TimeLimitExceeded()), GatewayTimeoutError),
    ],
)
def test_coheres_clients_know_what_went_wrong(serve: Serve, queue: MemoryQueue, kind: type[Exception]):
    url = serve(queue)
    with ExitStack() as clients:
        for client in (cohere.Client, cohere.ClientV2):
            opened = clients.enter_context(client("unused", base_url=url, max_retries=0))
            with pytest.raises(kind):
                opened.rerank(model=RERANK_MODEL.id, query=QUERY, documents=DOCUMENTS)


def test_coheres_client_comes_back_when_it_is_told_to(serve: Serve):
    class Full(MemoryQueue):
        refusals = 1

        async def submit(self, job, options):
            if self.refusals:
                self.refusals -= 1
                raise Overloaded
            return await super().submit(job, options)

    with cohere.ClientV2("unused", base_url=serve(Full(models=(RERANK_MODEL,)))) as client:
        reply = client.rerank(model=RERANK_MODEL.id, query=QUERY, documents=DOCUMENTS)
    assert len(reply.results) == 3


def test_a_plain_request_gets_jinas_reply(base_url: str):
    body = {
        "model": RERANK_MODEL.id,
        "query": QUERY,
        "documents": DOCUMENTS,
        "top_n": 2,
        "return_documents": True,
    }
    headers = {"Authorization": "Bearer jina_unused"}
    reply = httpx.post(f"{base_url}/v1/rerank", json=body, headers=headers, timeout=PATIENCE_S).json()
    assert reply.pop("id").startswith("rerank-")  # vLLM's, which has the same path
    assert reply == {
        "model": RERANK_MODEL.id,
        "usage": {"prompt_tokens": TOKENS, "total_tokens": TOKENS},
        "results": [
            {"index": 1, "relevance_score": 1.0, "document": {"text": DOCUMENTS[1]}},
            {"index": 2, "relevance_score": 0.5, "document": {"text": DOCUMENTS[2]}},
        ],
    }


def test_a_plain_request_gets_teis_reply(base_url: str):
    body = {"query": QUERY, "texts": DOCUMENTS, "raw_scores": False, "return_text": False, "truncate": True}
    assert httpx.post(f"{base_url}/rerank", json=body, timeout=PATIENCE_S).json() == [
        {"index": index, "score": score} for index, score in RANKING
    ]


def test_a_plain_request_gets_vllms_reply(base_url: str):
    body = {"model": RERANK_MODEL.id, "text_1": QUERY, "text_2": DOCUMENTS}
    reply = httpx.post(f"{base_url}/v1/score", json=body, timeout=PATIENCE_S).json()
    assert reply["object"] == "list"
    assert [(each["index"], each["score"]) for each in reply["data"]] == sorted(RANKING)


def test_a_reranking_is_submitted_polled_and_found(base_url: str):
    body = {"task": "rerank", "model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS}
    accepted = httpx.post(f"{base_url}/v1/jobs", json=body, timeout=PATIENCE_S)
    assert accepted.status_code == 202
    view = httpx.get(
        f"{base_url}{accepted.headers['location']}", params={"wait": 5}, timeout=PATIENCE_S
    ).json()
    assert (view["status"], view["task"]) == ("finished", "rerank")
    assert [(each["index"], each["relevance_score"]) for each in view["result"]["results"]] == RANKING
