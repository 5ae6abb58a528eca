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


@pytest.mark.parametrize("origin", FOREIGN)
async def test_what_another_page_sends_without_a_preflight_is_not_done(
    client: httpx.AsyncClient, queue: MemoryQueue, origin: str
):
    body = {"model": MODEL.id, "input": "a"}
    for path in ("/v1/embeddings", "/api/embed"):
        reply = await client.post(path, json=body, headers={"Origin": origin, "Content-Type": "text/plain"})
        assert reply.status_code == 403
        assert "MLXQ_ORIGINS" in reply.text
        assert isinstance(reply.json()["error"], str) == (path == "/api/embed")
    assert not queue.submitted


@pytest.mark.parametrize(
    "browser", [{"Origin": "http://evil.example:8000"}, {"Sec-Fetch-Site": "same-origin"}]
)
async def test_a_page_whose_name_is_pointed_at_us_is_refused(
    client: httpx.AsyncClient, browser: dict[str, str]
):
    reply = await client.get("/v1/models", headers={"Host": "evil.example:8000", **browser})

    assert reply.status_code == 403
    assert "MLXQ_UI_HOSTS" in reply.json()["error"]["message"]


@pytest.mark.parametrize("host", ["192.168.1.20:8000", "localhost:8000", "mlxq.example.org"])
async def test_a_page_of_our_own_may_call(connect: Connect, queue: MemoryQueue, host: str):
    client = connect(queue, ui_hosts=("mlxq.example.org",))
    for browser in ({"Origin": f"http://{host}"}, {"Sec-Fetch-Site": "none"}):
        assert (await client.get("/v1/models", headers={"Host": host, **browser})).status_code == 200


async def test_programs_may_use_any_name(client: httpx.AsyncClient):
    assert (await client.get("/v1/models", headers={"Host": "other.example"})).status_code == 200
