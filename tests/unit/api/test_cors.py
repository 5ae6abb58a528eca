"""Web pages that call the API from a browser."""

import httpx
import pytest

from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

LOCAL = [
    "http://localhost:3000",
    "https://localhost",
    "http://127.0.0.1:8080",
    "http://[::1]:5173",
    "http://0.0.0.0",
    "app://obsidian.md",
    "tauri://localhost",
    "vscode-webview://1a2b",
]
FOREIGN = [
    "https://example.org",
    "http://localhost.example.org",
    "http://localhost:3000.example.org",
    "https://example.org/http://localhost",
    "null",
]


async def preflight(client: httpx.AsyncClient, origin: str, method: str = "POST") -> httpx.Response:
    asks = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,x-own"}
    return await client.options("/v1/embeddings", headers={"Origin": origin, **asks})


@pytest.mark.parametrize("origin", LOCAL)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_local_pages_may_send_what_they_like(client: httpx.AsyncClient, origin: str, method: str):
    reply = await preflight(client, origin, method)

    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == origin
    assert method in reply.headers["access-control-allow-methods"]
    assert reply.headers["access-control-allow-headers"] == "authorization,x-own"
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("origin", LOCAL)
async def test_local_pages_may_read_replies_and_errors(client: httpx.AsyncClient, origin: str):
    for body in ({"model": MODEL.id, "input": "a"}, {"model": MODEL.id}):
        reply = await client.post("/v1/embeddings", json=body, headers={"Origin": origin})

        assert reply.headers["access-control-allow-origin"] == origin
        assert "X-Job-Id" in reply.headers["access-control-expose-headers"]
        assert "Origin" in reply.headers["vary"]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_other_pages_may_neither_send_nor_read(client: httpx.AsyncClient, origin: str):
    asked = await preflight(client, origin)
    reply = await client.get("/v1/models", headers={"Origin": origin})

    assert asked.status_code == 400
    for each in (asked, reply):
        assert "access-control-allow-origin" not in each.headers


@pytest.mark.parametrize(
    ("allowed", "origin", "may"),
    [
        ("https://chat.example.org", "https://chat.example.org", True),
        ("https://chat.example.org/", "https://chat.example.org", True),
        ("https://chat.example.org", "https://chatXexample.org", False),
        ("https://chat.example.org", "https://chat.example.org:444", False),
        ("https://*.example.org", "https://a.b.example.org", True),
        ("https://*.example.org", "https://example.org", False),
        ("chrome-extension://*", "chrome-extension://abcdef", True),
        ("https://chat.example.org", "http://localhost:3000", True),
    ],
)
async def test_the_operator_names_others(
    connect: Connect, queue: MemoryQueue, allowed: str, origin: str, may: bool
):
    client = connect(queue, origins=(allowed,))

    assert ((await preflight(client, origin)).status_code == 200) == may
    reply = await client.get("/v1/models", headers={"Origin": origin})
    assert (reply.headers.get("access-control-allow-origin") == origin) == may


async def test_every_page_may_call_where_the_operator_says_so(connect: Connect, queue: MemoryQueue):
    client = connect(queue, origins=("*",))

    for reply in (
        await preflight(client, FOREIGN[0]),
        await client.get("/v1/models", headers={"Origin": "null"}),
    ):
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == "*"


async def test_a_public_page_that_may_call_may_call_into_a_private_network(
    connect: Connect, queue: MemoryQueue
):
    client = connect(queue, origins=("https://chat.example.org",))
    headers = {
        "Origin": "https://chat.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }

    reply = await client.options("/v1/embeddings", headers=headers)

    assert (reply.status_code, reply.headers["access-control-allow-private-network"]) == (200, "true")


async def test_the_console_is_for_no_other_origin(client: httpx.AsyncClient):
    for path in ("/ui", "/ui/search", "http://mlxq//ui", "http://mlxq/ui//search", "http://mlxq//ui/search"):
        reply = await client.get(path, headers={"Origin": LOCAL[0]})
        assert "access-control-allow-origin" not in reply.headers


async def test_programs_are_not_asked_where_they_come_from(client: httpx.AsyncClient):
    reply = await client.get("/v1/models")
    assert reply.status_code == 200
    assert "access-control-allow-origin" not in reply.headers
