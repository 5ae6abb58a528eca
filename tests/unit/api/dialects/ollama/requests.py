"""Requests of Ollama's clients, and the lines of its replies."""

import json
from typing import Any

import httpx

from tests.support.chat_requests import HELLO
from tests.support.memory_generation import CHAT_MODEL

TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object"}}}
    for name in ("look_up", "ask")
]


async def chat(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/api/chat", json={"model": CHAT_MODEL.id, "messages": HELLO, **fields})


async def generate(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/api/generate", json={"model": CHAT_MODEL.id, "prompt": "one two", **fields})


def lines(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.text.endswith("\n")
    return [json.loads(line) for line in reply.text.splitlines()]
