"""Chats that OpenAI's client stores, finds, labels and deletes."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionStoreMessage

from api.app import create_app
from api.work.stream import EventStream
from jobs.chats.chat import chats_full
from jobs.errors import QueueUnavailable
from jobs.generate import GenerateJob, Prompt
from jobs.job import SubmitOptions
from jobs.settings import Settings
from tests.support.chat_requests import HELLO, chat, chunks_of, sent_events
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue

LABELS = {"topic": "leases"}


@pytest.fixture
async def client(generator: MemoryQueue) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(generator, Settings())))
    async with openai.AsyncOpenAI(
        base_url="http://mlxq/v1", api_key="none", http_client=http, max_retries=0
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def ids_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr("tests.support.memory_queue.new_id", lambda: f"{next(numbers):031x}")


async def create(client: openai.AsyncOpenAI, **fields: Any) -> ChatCompletion:
    asked = {"model": CHAT_MODEL.id, "messages": HELLO, "store": True, "metadata": LABELS, **fields}
    return await client.chat.completions.create(**asked)


async def test_a_stored_chat_is_read_as_it_was_answered(client: openai.AsyncOpenAI):
    made = await create(client)
    found = await client.chat.completions.retrieve(made.id)
    assert found.metadata == LABELS
    assert found.to_dict() == {**made.to_dict(), "metadata": LABELS}


async def test_a_streamed_chat_is_stored_whole(client: openai.AsyncOpenAI):
    stream: Any = await create(client, stream=True, n=2)
    chunks = [chunk async for chunk in stream]
    found = await client.chat.completions.retrieve(chunks[0].id)
    assert [choice.message.content for choice in found.choices] == ["one two three"] * 2
    assert found.created == chunks[0].created
    assert found.usage and found.usage.completion_tokens == 6


async def test_its_messages_are_listed_as_they_were_sent(client: openai.AsyncOpenAI):
    call: Any = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    parts = [
        {"type": "text", "text": "Look."},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
    ]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": parts, "name": "al"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "so"},
    ]
    made = await create(client, messages=messages)
    pages = client.chat.completions.messages.list(made.id, limit=3)
    found: list[ChatCompletionStoreMessage] = [message async for message in pages]
    assert [(each.role, each.content) for each in found] == [
        ("system", "Be brief."),
        ("user", None),
        ("assistant", None),
        ("tool", "so"),
    ]
    assert len({each.id for each in found}) == 4
    assert [part.to_dict() for part in found[1].content_parts or ()] == parts
    assert found[2].tool_calls and found[2].tool_calls[0].to_dict() == call
    last = await client.chat.completions.messages.list(made.id, order="desc", limit=1)
    assert (last.data[0].content, last.has_more) == ("so", True)


async def test_lists_have_pages_orders_and_filters(client: openai.AsyncOpenAI):
    made = [(await create(client, metadata={"topic": topic, "by": "al"})).id for topic in "abcab"]
    await create(client, store=False)
    stored = client.chat.completions
    assert [each.id async for each in stored.list(limit=2)] == made
    assert [each.id async for each in stored.list(limit=2, order="desc")] == made[::-1]
    wanted = [made[0], made[3]]
    assert [each.id async for each in stored.list(limit=1, metadata={"topic": "a", "by": "al"})] == wanted
    assert [each.id async for each in stored.list(metadata={"topic": "a", "by": "bo"})] == []
    assert [each.id async for each in stored.list(model="another")] == []
    page = await stored.list(after=made[3], model=CHAT_MODEL.id)
    assert ([each.id for each in page.data], page.has_more) == (made[4:], False)


async def test_other_metadata_take_the_place_of_the_first(client: openai.AsyncOpenAI):
    made = await create(client)
    assert (await client.chat.completions.update(made.id, metadata={"a": "b"})).metadata == {"a": "b"}
    assert (await client.chat.completions.retrieve(made.id)).metadata == {"a": "b"}
    assert (await client.chat.completions.update(made.id, metadata=None)).metadata == {}


async def test_a_deleted_chat_is_gone(client: openai.AsyncOpenAI):
    made = await create(client)
    gone = await client.chat.completions.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "chat.completion.deleted")
    for act in (
        client.chat.completions.retrieve(made.id),
        client.chat.completions.delete(made.id),
        client.chat.completions.update(made.id, metadata={}),
        client.chat.completions.messages.list(made.id),
    ):
        with pytest.raises(openai.NotFoundError, match="no such stored chat"):
            await act


async def test_a_chat_that_is_not_to_be_stored_is_not(client: openai.AsyncOpenAI, generator: MemoryQueue):
    for store in (None, False):
        await create(client, store=store, metadata={"nested": ["ignored"]})
    assert not generator.chats.kept


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("", {"limit": "0"}),
        ("", {"limit": "101"}),
        ("", {"after": "mlxq:chats"}),
        ("", {"order": "up"}),
        ("/chatcmpl-1/messages", {"after": "no id"}),
    ],
)
async def test_a_list_that_cannot_be_is_refused(
    chat_client: httpx.AsyncClient, path: str, query: dict[str, str]
):
    reply = await chat_client.get(f"/v1/chat/completions{path}", params=query)
    assert reply.status_code == 400
    assert next(iter(query)) in reply.json()["error"]["message"]


async def test_what_is_no_id_of_a_chat_is_unknown(chat_client: httpx.AsyncClient):
    names = ["1", "", "a:b", "all", "bytes", "a" * 30, "a" * 32, "A" * 31, "g" * 31]
    for name in ["1", "cmpl-" + "a" * 31, *(f"chatcmpl-{name}" for name in names)]:
        for method in ("GET", "DELETE"):
            reply = await chat_client.request(method, f"/v1/chat/completions/{name}")
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "chat_not_found")
    for name in names:
        reply = await chat_client.get("/v1/chat/completions", params={"after": f"chatcmpl-{name}"})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "after")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_full_store_refuses_before_anything_is_computed(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, stream: bool
):
    generator.chats.max_bytes = 10
    reply = await chat(chat_client, store=True, stream=stream)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "store")
    assert "MLXQ_STORED_CHAT_BYTES" in reply.json()["error"]["message"]
    assert not generator.submitted


@pytest.mark.parametrize(
    "metadata", [{"": "a"}, {"a" * 65: "a"}, {"a": "b" * 513}, {"a": 1}, [], {str(n): "" for n in range(17)}]
)
async def test_metadata_that_openai_would_not_take_are_refused(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, metadata: Any
):
    reply = await chat(chat_client, store=True, metadata=metadata)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "metadata")
    assert not generator.submitted


@pytest.mark.parametrize("metadata", ["a", [], 1, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/jobs"])
async def test_metadata_are_an_object_also_where_nothing_is_stored(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, path: str, metadata: Any
):
    body = {"model": CHAT_MODEL.id, "messages": HELLO, "metadata": metadata, "task": "generate"}
    reply = await chat_client.post(path, json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "metadata")
    assert not generator.submitted


async def test_a_repeat_changes_nothing_that_was_done_to_a_chat(client: openai.AsyncOpenAI):
    key = {"extra_headers": {"Idempotency-Key": "k"}}
    made = await create(client, **key)
    await client.chat.completions.update(made.id, metadata={"a": "b"})
    assert (await create(client, **key)).id == made.id
    assert (await client.chat.completions.retrieve(made.id)).metadata == {"a": "b"}
    await client.chat.completions.delete(made.id)
    assert (await create(client, **key)).id == made.id
    assert [each async for each in client.chat.completions.list()] == []


async def test_a_page_of_messages_ends_before_it_has_too_many_bytes(
    client: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("api.dialects.openai.stored_chats.PAGE_BYTES", 1000)
    texts = ["a" * 300, "b" * 300, "c" * 5000, "d"]
    made = await create(client, messages=[{"role": "user", "content": text} for text in texts])
    pages = client.chat.completions.messages
    first = await pages.list(made.id)
    assert ([each.content for each in first.data], first.has_more) == (texts[:2], True)
    assert [each.content async for each in pages.list(made.id)] == texts
    assert [each.content async for each in pages.list(made.id, order="desc")] == texts[::-1]


async def test_a_streamed_chat_is_stored_when_its_job_ends(
    generator: MemoryQueue, monkeypatch: pytest.MonkeyPatch
):
    ended: list[str] = []

    async def note(job_id: str) -> None:
        ended.append(job_id)

    job = GenerateJob(model=CHAT_MODEL.id, prompt=Prompt("a"), stream=True)
    ticket = await generator.submit(job, SubmitOptions())
    async with EventStream(generator, [ticket.id], cancels=False, on_end=note) as stream:
        async with asyncio.timeout(60):
            while not ended:
                await asyncio.sleep(0)
        assert await stream.take()  # nothing had been taken before
    assert ended == [ticket.id]


async def test_a_chat_that_nobody_waits_for_is_not_stored(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    body = {"model": CHAT_MODEL.id, "messages": HELLO, "store": True}
    asked = (("/v1/chat/completions", {"Prefer": "respond-async"}), ("/v1/jobs", {}))
    for path, headers in asked:
        reply = await chat_client.post(path, json={**body, "task": "generate"}, headers=headers)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "store")
    assert not generator.submitted


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_that_could_not_be_stored_ends_in_an_error(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, stream: bool, monkeypatch: pytest.MonkeyPatch
):
    async def away(*_: object) -> None:
        raise QueueUnavailable

    monkeypatch.setattr(generator.chats, "keep", away)
    reply = await chat(chat_client, store=True, stream=stream)
    told = chunks_of(sent_events(reply.text))[-1] if stream else reply.json()
    assert told["error"]["code"] == "queue_unavailable"
    assert "[DONE]" not in reply.text


async def test_a_chat_that_others_took_the_room_of_is_refused_and_its_keyed_answer_kept(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, monkeypatch: pytest.MonkeyPatch
):
    async def full(*_: object) -> None:
        raise chats_full(10, 10)

    monkeypatch.setattr(generator.chats, "keep", full)
    body = {"model": CHAT_MODEL.id, "messages": HELLO, "store": True}
    key = {"Idempotency-Key": "k"}
    reply = await chat_client.post("/v1/chat/completions", json=body, headers=key)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "chats_full")
    reply = await chat_client.post("/v1/chat/completions", json={**body, "store": False}, headers=key)
    assert reply.status_code == 200
    assert len(generator.submitted) == 1
    streamed = chunks_of(sent_events((await chat(chat_client, store=True, stream=True)).text))
    assert streamed[-1]["error"]["code"] == "chats_full"


async def test_the_paths_may_be_without_their_version(chat_client: httpx.AsyncClient):
    made = (await chat(chat_client, store=True)).json()["id"]
    reply = await chat_client.get(f"/chat/completions/{made}")
    assert reply.json()["id"] == made
    assert (await chat_client.get("/chat/completions")).json()["first_id"] == made
    assert MODEL.id not in reply.text
