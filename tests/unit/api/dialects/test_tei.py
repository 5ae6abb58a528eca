"""The reranking of Hugging Face's text-embeddings-inference."""

from typing import Any

import httpx
import msgspec
import pytest

from jobs import errors
from jobs.rerank import RerankJob
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.rerank_requests import DOCUMENTS, QUERY, RANKING, last_reranking
from tests.unit.api.conftest import Connect

OTHER = msgspec.structs.replace(RERANK_MODEL, id="org/other-reranker")


async def rerank(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/rerank", json={"query": QUERY, "texts": DOCUMENTS, **fields})


async def refusal(client: httpx.AsyncClient, **fields: Any) -> str:
    """The message of a refusal, in TEI's envelope."""
    reply = await rerank(client, **fields)
    assert reply.status_code == 400
    assert reply.json()["error_type"] == "Validation"
    return reply.json()["error"]


async def test_texts_are_ranked_by_the_one_model_there_is(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    reply = await rerank(rerank_client)
    assert reply.json() == [{"index": index, "score": score} for index, score in RANKING]
    assert last_reranking(reranker) == RerankJob(RERANK_MODEL.id, QUERY, tuple(DOCUMENTS))


async def test_texts_are_shown_if_asked(rerank_client: httpx.AsyncClient):
    reply = await rerank(rerank_client, return_text=True)
    assert [each["text"] for each in reply.json()] == [DOCUMENTS[index] for index, _ in RANKING]


@pytest.mark.parametrize(("top_n", "kept"), [(1, 1), (2, 2), (0, 3), (None, 3), (9, 3)])
async def test_the_best_alone_are_given_if_asked(
    rerank_client: httpx.AsyncClient, top_n: int | None, kept: int
):
    reply = await rerank(rerank_client, top_n=top_n)
    assert [each["index"] for each in reply.json()] == [index for index, _ in RANKING][:kept]


async def test_raw_scores_are_given_if_asked(rerank_client: httpx.AsyncClient):
    assert [each["score"] for each in (await rerank(rerank_client, raw_scores=True)).json()] == [
        2.0,
        1.0,
        0.0,
    ]


async def test_an_overlong_text_is_cut_only_if_asked(rerank_client: httpx.AsyncClient):
    texts = ["word " * RERANK_MODEL.max_tokens]
    assert "too long" in await refusal(rerank_client, texts=texts)
    for direction in ("right", "Right", None):
        reply = await rerank(rerank_client, texts=texts, truncate=True, truncation_direction=direction)
        assert reply.status_code == 200


async def test_texts_are_not_cut_at_their_beginning(rerank_client: httpx.AsyncClient):
    message = await refusal(rerank_client, truncate=True, truncation_direction="left")
    assert message.startswith("truncation_direction: ")
    assert (await rerank(rerank_client, truncate=False, truncation_direction="left")).status_code == 200


async def test_of_several_models_one_must_be_named(connect: Connect):
    queue = MemoryQueue(models=(RERANK_MODEL, OTHER))
    message = await refusal(connect(queue))
    assert RERANK_MODEL.id in message and OTHER.id in message
    assert (await rerank(connect(queue), model=OTHER.id)).status_code == 200
    assert last_reranking(queue).model == OTHER.id


async def test_where_nothing_reranks_it_is_told_what_there_is(connect: Connect):
    reply = await rerank(connect(MemoryQueue(models=(MODEL,))))
    assert reply.status_code == 404
    assert MODEL.id in reply.json()["error"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"texts": []}, "texts is empty."),
        ({"texts": ["a", ""]}, "texts[1] is empty."),
        ({"texts": [{"text": "a"}]}, "texts[0]: "),
        ({"query": ""}, "query is empty."),
        ({"truncation_direction": "up"}, "truncation_direction: "),
    ],
)
async def test_a_bad_field_is_named(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, fields: dict[str, Any], words: str
):
    assert (await refusal(rerank_client, **fields)).startswith(words)
    assert not reranker.submitted


async def test_the_number_of_texts_is_limited(connect: Connect, reranker: MemoryQueue):
    assert await refusal(connect(reranker, max_inputs=2)) == "texts has 3 items; at most 2 are allowed."


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InputTooLong("Too long."), 400, "Validation"),
        (errors.Overloaded(), 429, "Overloaded"),
        (errors.NoWorker(), 503, "Unhealthy"),
        (errors.WorkerLost(), 500, "Backend"),
    ],
)
async def test_errors_have_teis_types(connect: Connect, error: errors.JobError, status: int, kind: str):
    reply = await rerank(connect(MemoryQueue(models=(RERANK_MODEL,), failure=error)))
    assert (reply.status_code, reply.json()) == (status, {"error": error.message, "error_type": kind})


async def test_a_reranking_may_be_waited_for_later(rerank_client: httpx.AsyncClient):
    body = {"query": QUERY, "texts": DOCUMENTS}
    accepted = await rerank_client.post("/rerank", json=body, headers={"Prefer": "respond-async"})
    assert (accepted.status_code, accepted.json()["task"]) == (202, "rerank")
