"""GET /v1/jobs/{id}/events: a stream from its beginning, or from where it was lost."""

from typing import Any

import httpx
import pytest

from api.app import create_app
from jobs.errors import InputTooLong, TimeLimitExceeded
from jobs.generate import Piece, Pieces, Prompt, ToolCall
from jobs.settings import Settings
from tests.support.chat_requests import CHAT, Caller, ScriptedQueue, Sent, chat, last_job, sent_events
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect


async def submit(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/jobs", json={"task": "generate", "model": CHAT_MODEL.id, **fields})


async def events(client: httpx.AsyncClient, job_id: str, query: str = "", **headers: str) -> list[Sent]:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = await client.get(f"/v1/jobs/{job_id}/events{query}", headers=headers)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/event-stream"
    return sent_events(reply.text)


def without_time(sent: list[Sent]) -> list[Sent]:
    return [
        Sent(each.id, {**each.data, "created": 0}) if isinstance(each.data, dict) else each for each in sent
    ]


async def streamed(client: httpx.AsyncClient, **fields: Any) -> tuple[str, list[Sent]]:
    reply = await chat(client, stream=True, **fields)
    return reply.headers["x-job-id"], sent_events(reply.text)


async def test_a_stream_can_be_read_again(chat_client: httpx.AsyncClient):
    job_id, sent = await streamed(chat_client)
    assert without_time(await events(chat_client, job_id)) == without_time(sent)


@pytest.mark.parametrize("place", [0, 1, 3, 4])
async def test_a_stream_goes_on_where_it_was_lost(chat_client: httpx.AsyncClient, place: int):
    job_id, sent = await streamed(chat_client)
    rest = sent[[each.id for each in sent].index(place) + 1 :] if place else sent
    by_header = await events(chat_client, job_id, Last_Event_ID=str(place))
    by_query = await events(chat_client, job_id, f"?after={place}")
    assert without_time(by_header) == without_time(by_query) == without_time(rest)


async def test_the_header_goes_before_the_query(chat_client: httpx.AsyncClient):
    job_id, _ = await streamed(chat_client)
    assert (await events(chat_client, job_id, "?after=1", Last_Event_ID="3"))[0].id == 4


async def test_what_is_counted_through_a_stream_is_counted_from_its_beginning():
    queue = ScriptedQueue()
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(queue, Settings())), base_url="http://mlxq"
    )
    job_id = (await submit(client, messages=CHAT["messages"], stream=True)).json()["id"]
    for number in range(3):
        call = ToolCall(f"c{number}", "look", "{}")
        queue.script.put_nowait(Pieces(5, 0, (Piece(tokens=(1, 2), tool_calls=(call,)),)))
    queue.script.put_nowait(None)
    first, *_, usage, _ = await events(client, job_id, "?after=2&include_usage=true")
    assert first.id == 3
    assert first.data["choices"][0]["delta"]["tool_calls"][0]["index"] == 2
    assert usage.data["usage"]["completion_tokens"] == 6


async def test_usage_comes_where_it_is_asked_for(chat_client: httpx.AsyncClient):
    job_id, _ = await streamed(chat_client)
    assert (await events(chat_client, job_id, "?include_usage=true"))[-2].data["usage"]["total_tokens"] == 6
    assert "usage" not in (await events(chat_client, job_id))[-2].data


async def test_hanging_up_ends_nothing():
    queue = ScriptedQueue()
    app = create_app(queue, Settings())
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq")
    job_id = (await submit(client, messages=CHAT["messages"], stream=True)).json()["id"]
    queue.script.put_nowait(Pieces(1, 0, (Piece(text="a"),)))
    caller = Caller(app, "GET", f"/v1/jobs/{job_id}/events")
    await caller.message()
    caller.disconnect()
    await caller.ended()
    assert queue.left.is_set()
    assert not queue.canceled


async def test_a_stream_that_waits_long_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.dialects.mlxq.job_events.KEEP_ALIVE_S", 0.01)
    queue = ScriptedQueue()
    app = create_app(queue, Settings())
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq")
    job_id = (await submit(client, messages=CHAT["messages"], stream=True)).json()["id"]
    caller = Caller(app, "GET", f"/v1/jobs/{job_id}/events")
    assert (await caller.message())["status"] == 200
    queue.script.put_nowait(TimeLimitExceeded())
    assert sent_events((await caller.body()).decode())[-1].data["error"]["code"] == "time_limit_exceeded"
    await caller.ended()


async def test_a_failed_job_has_its_status(connect: Connect):
    client = connect(MemoryQueue(models=(CHAT_MODEL,), failure=InputTooLong(param="messages")))
    job_id = (await submit(client, messages=CHAT["messages"], stream=True)).json()["id"]
    reply = await client.get(f"/v1/jobs/{job_id}/events")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_job_that_does_not_stream_is_refused(chat_client: httpx.AsyncClient):
    embed = await chat_client.post("/v1/jobs", json={"task": "embed", "model": MODEL.id, "input": "a"})
    whole = await submit(chat_client, messages=CHAT["messages"])
    for submitted in (embed, whole):
        reply = await chat_client.get(f"/v1/jobs/{submitted.json()['id']}/events")
        assert reply.status_code == 400
        assert "does not stream" in reply.json()["error"]["message"]


@pytest.mark.parametrize("job_id", ["none", "a:dependents"])
async def test_an_unknown_job_is_answered_404(chat_client: httpx.AsyncClient, job_id: str):
    reply = await chat_client.get(f"/v1/jobs/{job_id}/events")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "job_not_found")


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "²", "9" * 19])
async def test_a_place_that_cannot_be_ours_is_refused(chat_client: httpx.AsyncClient, value: str):
    job_id, _ = await streamed(chat_client)
    headers = httpx.Headers({"Last-Event-ID": value}, encoding="utf-8")
    reply = await chat_client.get(f"/v1/jobs/{job_id}/events", headers=headers)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "Last-Event-ID")
    reply = await chat_client.get(f"/v1/jobs/{job_id}/events?after=-1")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "after")


async def test_a_generation_is_submitted_as_a_chat_or_a_prompt(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    reply = await submit(
        chat_client, messages=CHAT["messages"], stream=True, lane="bulk", metadata={"a": "b"}
    )
    assert reply.status_code == 202
    assert (reply.json()["lane"], reply.json()["metadata"]) == ("bulk", {"a": "b"})
    assert last_job(generator).stream

    reply = await submit(chat_client, prompt=[1, 2], max_tokens=1, messages=None)
    assert last_job(generator).prompt == Prompt((1, 2))
    view = (await chat_client.get(f"/v1/jobs/{reply.json()['id']}")).json()
    assert view["task"] == "generate"
    assert view["result"]["object"] == "chat.completion"
    assert view["result"]["choices"][0]["message"]["content"] == "1"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": "a", "suffix": "b", "echo": True}, "suffix"),
        ({"messages": CHAT["messages"], "lane": "fast"}, "lane"),
        ({"messages": CHAT["messages"], "model": MODEL.id}, "model"),
    ],
    ids=str,
)
async def test_a_refused_generation_names_its_field(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any], param: str
):
    reply = await submit(chat_client, **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert not generator.submitted


async def test_a_job_for_a_model_of_another_task_is_refused(chat_client: httpx.AsyncClient):
    reply = await chat_client.post("/v1/jobs", json={"task": "embed", "model": CHAT_MODEL.id, "input": "a"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")


async def test_events_are_read_while_the_job_runs():
    queue = ScriptedQueue()
    app = create_app(queue, Settings())
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq")
    job_id = (await submit(client, messages=CHAT["messages"], stream=True)).json()["id"]
    queue.script.put_nowait(Pieces(1, 0, (Piece(text="a"),)))
    caller = Caller(app, "GET", f"/v1/jobs/{job_id}/events")
    assert (await caller.message())["status"] == 200
    assert sent_events((await caller.body()).decode())[-1].id == 1
    queue.script.put_nowait(Pieces(1, 0, (Piece(text=" b"),)))
    assert sent_events((await caller.body()).decode())[0].id == 2
    queue.script.put_nowait(None)
    await caller.ended()
