"""A model asked for what it does not do."""

from typing import Any

import httpx
import pytest

from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL

MESSAGES = [{"role": "user", "content": "a"}]
RERANKING = {"query": "a", "documents": ["a"]}
WORK: list[tuple[str, str, dict[str, Any]]] = [
    ("embed", "/v1/embeddings", {"input": "a"}),
    ("embed", "/embed", {"inputs": "a"}),
    ("embed", "/v1/embed", {"texts": ["a"]}),
    ("embed", "/v2/embed", {"texts": ["a"]}),
    ("embed", "/api/embed", {"input": "a"}),
    ("embed", "/api/embeddings", {"prompt": "a"}),
    ("embed", "/v1/jobs", {"task": "embed", "input": "a"}),
    ("generate", "/v1/chat/completions", {"messages": MESSAGES}),
    ("generate", "/v1/chat/completions", {"messages": MESSAGES, "stream": True}),
    ("generate", "/v1/completions", {"prompt": "a"}),
    ("generate", "/v1/completions", {"prompt": ["a", "b"]}),
    ("generate", "/v1/messages", {"messages": MESSAGES, "max_tokens": 5}),
    ("generate", "/v1/messages/count_tokens", {"messages": MESSAGES}),
    ("generate", "/api/chat", {"messages": MESSAGES}),
    ("generate", "/api/generate", {"prompt": "a"}),
    ("generate", "/v1/jobs", {"task": "generate", "messages": MESSAGES}),
    ("rerank", "/v1/rerank", RERANKING),
    ("rerank", "/v1/rerank", {**RERANKING, "max_chunks_per_doc": 1}),
    ("rerank", "/v2/rerank", RERANKING),
    ("rerank", "/rerank", {"query": "a", "texts": ["a"]}),
    ("rerank", "/v1/score", {"text_1": "a", "text_2": "a"}),
    ("rerank", "/v1/score", {"text_1": ["a", "b"], "text_2": ["a", "b"]}),
    ("rerank", "/v1/jobs", {"task": "rerank", **RERANKING}),
]
BY_VECTORS = [
    ("/v1/rerank", RERANKING),
    ("/v1/score", {"text_1": "a", "text_2": "a"}),
    ("/v1/score", {"text_1": ["a", "b"], "text_2": ["a", "b"]}),
]
"""Where an embedding model orders documents, too: by the cosine."""
ENDPOINTS = [(MODEL, "/v1/embeddings"), (CHAT_MODEL, "/v1/chat/completions"), (RERANK_MODEL, "/v1/rerank")]


@pytest.mark.parametrize(("task", "path", "body"), WORK, ids=[f"{path} {task}" for task, path, _ in WORK])
async def test_a_model_of_another_task_is_refused_on_every_endpoint(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, task: str, path: str, body: dict[str, Any]
):
    for model, endpoint in ENDPOINTS:
        if model.task == task or (model is MODEL and (path, body) in BY_VECTORS):
            continue
        reply = await rerank_client.post(path, json={**body, "model": model.id})
        assert reply.status_code == 400
        assert f"is not for this task ({task}) but for {model.task}: send it to {endpoint}." in reply.text
    assert not reranker.submitted
