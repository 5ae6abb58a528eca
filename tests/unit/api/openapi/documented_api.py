"""The API's own document, and requests made from its examples."""

import json
import re
from typing import Any

import httpx
import msgspec

from api.app import create_app
from jobs.settings import Settings
from tests.support.documented import Documented, Endpoint
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.vectors.memory_collections import DOCUMENTS

MODELS = tuple(
    msgspec.structs.replace(info, id=name)
    for info, name in (
        (MODEL, "all-MiniLM-L6-v2"),
        (CHAT_MODEL, "CHAT-MODEL"),
        (RERANK_MODEL, "RERANK-MODEL"),
        (PAGE_MODEL, "PAGE-MODEL"),
    )
)
DOCUMENT = json.loads(json.dumps(create_app(MemoryQueue(), Settings()).openapi()))
DOCUMENTED = Documented(DOCUMENT)
PAGE = {"collection": DOCUMENTS[0].collection, "document": DOCUMENTS[0].id, "page": "1"}
STORE = {"vector_store_id": DOCUMENTS[0].collection, "file_id": DOCUMENTS[0].id}
"""Of MemoryCollections."""
WORK = [each for each in DOCUMENTED.endpoints if "202" in each.said["responses"]]


def name_of(endpoint: Endpoint) -> str:
    return endpoint.said["operationId"]


async def ask(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    job_id: str = "none",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """Sends the endpoint's example, with these fields instead of its own."""
    names = {
        "job_id": job_id,
        "completion_id": f"chatcmpl-{job_id}",
        "model_id": "CHAT-MODEL",
        "digest": f"sha256:{'0' * 64}",
        **PAGE,
        **STORE,
    }
    path = re.sub(r"\{(\w+)\}", lambda match: names[match[1]], endpoint.path)
    if path.endswith("/heatmap"):
        path += "?query=lease"
    body = {**endpoint.example, **fields} if endpoint.example else None
    return await client.request(endpoint.method, path, json=body, headers=headers)


async def streaming_job(client: httpx.AsyncClient) -> str:
    """The id of a job for those that need one; its work is done, and was to be streamed."""
    chat = {"model": "CHAT-MODEL", "messages": [{"role": "user", "content": "one two"}], "stream": True}
    reply = await client.post("/v1/jobs", json={"task": "generate", **chat})
    return reply.json()["id"]


async def job_for(endpoint: Endpoint, client: httpx.AsyncClient) -> str:
    """As streaming_job, where the endpoint's path names a job."""
    return await streaming_job(client) if re.search(r"\{(job|completion)_id\}", endpoint.path) else "none"
