"""A model is found by its id, its Hugging Face name, and either but for capital letters, in every dialect."""

from typing import Any

import httpx
import msgspec
import pytest

from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.api.conftest import Connect

MODELS = tuple(
    msgspec.structs.replace(info, id=f"my-{info.task}", hub_name=f"Org/{info.task.title()}-1")
    for info in (MODEL, CHAT_MODEL, RERANK_MODEL)
)
MESSAGES = [{"role": "user", "content": "Hello"}]
TEXTS = {"query": "a", "documents": ["a", "b"]}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/embeddings": ("embed", {"input": "a"}),
    "/embed": ("embed", {"inputs": "a"}),
    "/v1/embed": ("embed", {"texts": ["a"]}),
    "/v2/embed": ("embed", {"texts": ["a"]}),
    "/api/embed": ("embed", {"input": "a"}),
    "/api/embeddings": ("embed", {"prompt": "a"}),
    "/v1/chat/completions": ("generate", {"messages": MESSAGES}),
    "/v1/completions": ("generate", {"prompt": "a"}),
    "/v1/messages": ("generate", {"messages": MESSAGES, "max_tokens": 5}),
    "/v1/messages/count_tokens": ("generate", {"messages": MESSAGES}),
    "/api/chat": ("generate", {"messages": MESSAGES, "stream": False}),
    "/api/generate": ("generate", {"prompt": "a", "stream": False}),
    "/v1/rerank": ("rerank", TEXTS),
    "/v2/rerank": ("rerank", TEXTS),
    "/rerank": ("rerank", {"query": "a", "texts": ["a", "b"]}),
    "/v1/score": ("rerank", {"text_1": "a", "text_2": ["b"]}),
}


@pytest.fixture
def served() -> MemoryQueue:
    return MemoryQueue(models=MODELS)


@pytest.mark.parametrize("name", ["my-{}", "MY-{}", "Org/{}-1", "org/{}-1", "{}-1"])
@pytest.mark.parametrize("path", CALLS)
async def test_a_model_is_found_and_the_reply_names_it_as_it_was_asked(
    path: str, name: str, connect: Connect, served: MemoryQueue
):
    task, body = CALLS[path]
    asked = name.format(task)

    reply = await connect(served).post(path, json=body | {"model": asked})

    assert reply.status_code == 200, reply.text
    assert served.submitted[-1][0].model == f"my-{task}"
    shown = reply.json()
    assert not isinstance(shown, dict) or shown.get("model", asked) == asked


async def test_ollamas_latest_goes_with_any_of_the_names(connect: Connect, served: MemoryQueue):
    for name in ("my-generate:latest", "ORG/generate-1:latest"):
        client = connect(served)
        shown = await client.post("/api/show", json={"model": name})
        answered = await client.post("/api/generate", json={"model": name, "prompt": "a", "stream": False})
        assert (shown.status_code, answered.status_code) == (200, 200)
    assert {job.model for job, _ in served.submitted} == {"my-generate"}


@pytest.mark.parametrize("path", CALLS)
async def test_a_misspelt_model_is_answered_with_the_nearest(
    path: str, connect: Connect, served: MemoryQueue
):
    task, body = CALLS[path]
    reply = await connect(served).post(path, json=body | {"model": f"my-{task}s"})
    assert reply.status_code in (404, 422), reply.text
    assert f"Did you mean 'my-{task}'?" in reply.text


async def test_one_model_under_two_names_is_not_picked_silently(connect: Connect):
    pair = tuple(msgspec.structs.replace(MODEL, id=name, hub_name="org/one") for name in ("first", "second"))
    client: httpx.AsyncClient = connect(MemoryQueue(models=pair))
    reply = await client.post("/v1/embeddings", json={"model": "org/One", "input": "a"})
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "The model 'org/One' may be first or second: name one of them."


@pytest.mark.parametrize("path", [*CALLS, "/api/show"])
async def test_a_long_name_is_told_in_part(path: str, connect: Connect, served: MemoryQueue):
    _, body = CALLS.get(path, ("", {}))
    reply = await connect(served).post(path, json=body | {"model": "my-generate" + "a/b" * 100_000})
    assert reply.status_code in (404, 422), reply.text
    assert "my-generatea/b" in reply.text
    assert "ean 'my-generate'" not in reply.text
    assert len(reply.content) < 1000
