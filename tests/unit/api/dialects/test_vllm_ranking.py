"""Rerankings and scores as vLLM's clients ask for them: by embedding models, with pictures among their parts."""

import math
from array import array
from typing import Any

import httpx
import pytest

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue, memory_vector
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.rerank_requests import DOCUMENTS, QUERY, RANKING, last_reranking, ranking
from tests.unit.api.conftest import Connect

PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{OPAQUE_BASE64}"}}
PARTS = {"content": [{"type": "text", "text": "Look:"}, PICTURE, {"type": "text", "text": "red"}]}
READ = (TextPart("Look:"), ImagePart(OPAQUE), TextPart("red"))
PATHS = ("/v1/rerank", "/rerank")


def cosine(one: str, other: str) -> float:
    vectors = [array("f", memory_vector(text, MODEL.dimensions)) for text in (one, other)]
    return sum(a * b for a, b in zip(*vectors, strict=True))


async def scores(client: httpx.AsyncClient, **fields: Any) -> list[float]:
    reply = await client.post("/score", json=fields)
    assert reply.status_code == 200, reply.text
    return [each["score"] for each in reply.json()["data"]]


@pytest.mark.parametrize("path", PATHS)
async def test_an_embedding_model_ranks_by_the_cosine(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, path: str
):
    body = {"model": MODEL.id, "query": QUERY, "documents": DOCUMENTS}
    reply = await rerank_client.post(path, json=body)
    found = dict(ranking(reply))
    assert found == {
        index: pytest.approx(cosine(QUERY, text), abs=1e-6) for index, text in enumerate(DOCUMENTS)
    }
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert reply.json()["usage"]["prompt_tokens"] == sum(len(text.split()) for text in (QUERY, *DOCUMENTS))
    assert [job for job, _ in reranker.submitted] == [
        EmbedJob(MODEL.id, (QUERY,)),
        EmbedJob(MODEL.id, tuple(DOCUMENTS)),
    ]


async def test_an_embedding_model_scores_pairs_by_the_cosine(rerank_client: httpx.AsyncClient):
    many = await scores(rerank_client, model=MODEL.id, text_1=QUERY, text_2=DOCUMENTS)
    assert many == pytest.approx([cosine(QUERY, text) for text in DOCUMENTS], abs=1e-6)
    pairs = await scores(rerank_client, model=MODEL.id, text_1=["a", "b"], text_2=["a", "c"])
    assert pairs == pytest.approx([1, cosine("b", "c")], abs=1e-6)
    assert all(-1 <= score <= 1 and math.isfinite(score) for score in [*many, *pairs])


async def test_a_query_is_never_cut_for_an_embedding_model(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    await scores(rerank_client, model=MODEL.id, text_1=QUERY, text_2=DOCUMENTS, truncate_prompt_tokens=-1)
    assert [job.truncate for job, _ in reranker.submitted if isinstance(job, EmbedJob)] == ["none", "end"]


@pytest.mark.parametrize("path", PATHS)
async def test_an_instruction_is_not_for_an_embedding_model(rerank_client: httpx.AsyncClient, path: str):
    body = {"model": MODEL.id, "query": QUERY, "documents": DOCUMENTS, "instruction": "Find."}
    reply = await rerank_client.post(path, json=body)
    assert (reply.status_code, "instruction: an embedding model" in reply.text) == (400, True)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("models", "used"),
    [
        ((MODEL, CHAT_MODEL, RERANK_MODEL), RERANK_MODEL.id),
        ((MODEL, CHAT_MODEL), MODEL.id),
        ((MODEL, PAGE_MODEL), PAGE_MODEL.id),
    ],
)
async def test_the_model_need_not_be_named_where_one_can(connect: Connect, path: str, models: Any, used: str):
    queue = MemoryQueue(models=models)
    client = connect(queue)
    for named in ({}, {"model": None}, {"model": ""}, {"model": "default/not-specified"}):
        reply = await client.post(path, json={**named, "query": QUERY, "documents": DOCUMENTS})
        assert (reply.status_code, reply.json()["model"]) == (200, used)
        assert queue.submitted[-1][0].model == used


@pytest.mark.parametrize("path", PATHS)
async def test_one_text_may_be_the_documents(rerank_client: httpx.AsyncClient, path: str):
    body = {"model": RERANK_MODEL.id, "query": QUERY, "documents": "the red fox"}
    reply = await rerank_client.post(path, json=body)
    assert ranking(reply) == [(0, 1.0)]
    assert reply.json()["results"][0]["document"] == {"text": "the red fox"}
    assert reply.json()["id"].startswith("rerank-")


@pytest.mark.parametrize("path", PATHS)
async def test_scores_are_raw_without_activation(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, path: str
):
    body: dict[str, Any] = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS}
    for use, raw in ((False, True), (True, False), (None, False)):
        assert (await rerank_client.post(path, json={**body, "use_activation": use})).status_code == 200
        assert last_reranking(reranker).raw_scores is raw


@pytest.mark.parametrize("path", PATHS)
async def test_pictures_come_in_parts(rerank_client: httpx.AsyncClient, reranker: MemoryQueue, path: str):
    words = {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    body = {"model": RERANK_MODEL.id, "query": PARTS, "documents": [PARTS, "a fox", words]}
    reply = await rerank_client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    job = last_reranking(reranker)
    assert (job.query, job.documents) == (READ, (READ, "a fox", "a\nb"))
    shown = {each["index"]: each["document"] for each in reply.json()["results"]}
    assert shown[1] == {"text": "a fox"}
    assert [list(part) for part in shown[0]["multi_modal"]] == [
        ["type", "text"], ["type", "image_url"], ["type", "text"]
    ]  # fmt: skip


async def test_pairs_may_have_pictures_in_parts(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    await scores(rerank_client, model=RERANK_MODEL.id, data_1="red", data_2=PARTS)
    assert last_reranking(reranker).documents == (READ,)


async def test_an_embedding_model_that_sees_is_given_pictures(connect: Connect):
    seeing = MemoryQueue(models=(type(MODEL)(**{**_fields(MODEL), "abilities": ("vision",)}),))
    await scores(connect(seeing), text_1="red", text_2=[PARTS])
    assert [job.inputs for job, _ in seeing.submitted if isinstance(job, EmbedJob)] == [
        ("red",),
        (MixedInput(READ),),
    ]


def _fields(info: Any) -> dict[str, Any]:
    return {name: getattr(info, name) for name in info.__struct_fields__}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"query": {"content": []}}, "query needs a text or an image."),
        ({"documents": [{"content": [{"type": "text"}]}]}, "documents[0].content[0].text is missing."),
        ({"documents": [{"content": [{"type": "video_url"}]}]}, "parts of type 'video_url' are not read"),
        ({"documents": [{"content": [PICTURE], "text": "a"}]}, "documents[0] has a content, and a text"),
        ({"mm_processor_kwargs": {"a": 1}}, "mm_processor_kwargs: "),
        ({"priority": 1}, "priority: "),
        ({"truncation_side": "left"}, "truncation_side: "),
        ({"padding": "max_length"}, "padding: "),
        ({"cache_salt": "x"}, "cache_salt: "),
        ({"top_n": -1}, "top_n"),
    ],
)
async def test_what_is_not_built_is_refused_by_name(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, path: str, fields: dict[str, Any], words: str
):
    body = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS, **fields}
    reply = await rerank_client.post(path, json=body)
    assert (reply.status_code, words in reply.text) == (400, True), reply.text
    assert not reranker.submitted


async def test_values_that_ask_for_nothing_are_taken(rerank_client: httpx.AsyncClient):
    asks_nothing: dict[str, Any] = {
        "priority": 0, "truncation_side": "right", "padding": "do_not_pad", "cache_salt": None, "user": "u",
        "request_id": "r", "mm_processor_kwargs": {}, "top_n": 0,
    }  # fmt: skip
    body = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS, **asks_nothing}
    assert ranking(await rerank_client.post("/rerank", json=body)) == RANKING
