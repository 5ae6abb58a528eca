"""The tools, asked by the official client."""

import base64
from typing import Any

import pytest
from mcp import Client
from mcp.server import MCPServer

from ingest.mcp.server import mcp_server
from jobs.search.errors import StoreUnavailable
from jobs.search.question import NOT_FOUND
from jobs.settings import Settings
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import DOCUMENTS, MemoryCollections

QUEUE = DOCUMENTS[0]


@pytest.fixture
def collections() -> MemoryCollections:
    return MemoryCollections()


@pytest.fixture
def server(collections: MemoryCollections) -> MCPServer[None]:
    return mcp_server(collections, MemoryQueue((CHAT_MODEL,)), Settings())


async def call(server: MCPServer[None], tool: str, **arguments: Any) -> Any:
    async with Client(server) as client:
        reply = await client.call_tool(tool, arguments)
    assert not reply.is_error, reply.content
    return reply


async def refused(server: MCPServer[None], tool: str, **arguments: Any) -> str:
    async with Client(server) as client:
        reply = await client.call_tool(tool, arguments)
    assert reply.is_error
    return str(getattr(reply.content[0], "text", ""))


async def test_the_tools_say_what_they_are_for(server: MCPServer[None]):
    async with Client(server) as client:
        tools = {each.name: each for each in (await client.list_tools()).tools}

    assert set(tools) == {"search", "ask", "get_page", "list_documents"}
    assert all(each.description for each in tools.values())
    assert tools["search"].input_schema["required"] == ["query"]


async def test_a_search_finds_pages_with_their_text(server: MCPServer[None]):
    found = (await call(server, "search", query="lease lasts", limit=1)).structured_content

    (page,) = found["pages"]
    assert (page["document"], page["page"], page["path"]) == (QUEUE.id, 1, QUEUE.path)
    assert page["text"] == "A lease lasts ten seconds."


async def test_every_argument_of_a_search_is_asked(server: MCPServer[None], collections: MemoryCollections):
    await call(
        server, "search", query="x", collections=["notes"], paths=["/notes/"], mode="keywords", limit=3
    )

    (asked,) = collections.asked
    assert (asked.text, asked.collections, asked.mode, asked.limit) == ("x", ("notes",), "keywords", 3)
    assert asked.filter.paths == ("/notes/",)


async def test_an_answer_comes_from_the_model(server: MCPServer[None]):
    answer = (await call(server, "ask", question="lease lasts")).structured_content

    assert answer["answer"] and answer["answer"] != NOT_FOUND


async def test_where_nothing_fits_the_documents_do_not_say(server: MCPServer[None]):
    answer = (await call(server, "ask", question="zzz")).structured_content

    assert answer == {"answer": NOT_FOUND, "citations": [], "notes": []}


async def test_a_page_is_shown_as_text_and_image(server: MCPServer[None]):
    shown = (await call(server, "get_page", collection=QUEUE.collection, document=QUEUE.id, page=2)).content

    text, image = shown
    assert text.text == "A job that is lost is done again."
    assert image.mime_type == "image/png" and base64.b64decode(image.data).startswith(b"\x89PNG")


async def test_a_page_of_a_text_has_no_image(server: MCPServer[None]):
    note = DOCUMENTS[2]

    shown = (await call(server, "get_page", collection=note.collection, document=note.id, page=1)).content

    assert [each.type for each in shown] == ["text"]


async def test_documents_are_listed_part_by_part(server: MCPServer[None]):
    first = (await call(server, "list_documents", collection=QUEUE.collection, limit=1)).structured_content
    rest = (
        await call(server, "list_documents", collection=QUEUE.collection, after=first["next"])
    ).structured_content

    listed = [each["document"] for each in (*first["documents"], *rest["documents"])]
    assert sorted(listed) == sorted(each.id for each in DOCUMENTS if each.collection == QUEUE.collection)
    assert rest["next"] is None


async def test_errors_say_what_to_do(server: MCPServer[None], collections: MemoryCollections):
    assert "Name one of the collections" in await refused(server, "list_documents")
    assert "mlxq collections list" in await refused(server, "search", query="x", collections=["nothing"])
    collections.failure = StoreUnavailable()
    assert "mlxq up" in await refused(server, "search", query="x")


async def test_arguments_that_make_no_sense_are_refused(server: MCPServer[None]):
    assert "limit" in await refused(server, "search", query="x", limit=0)
    assert "page" in await refused(server, "get_page", collection=QUEUE.collection, document=QUEUE.id, page=0)
