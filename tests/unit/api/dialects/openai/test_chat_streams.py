"""Chat completions as server-sent events."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.replies.fingerprint import system_fingerprint
from jobs.errors import (
    InputTooLong,
    JobError,
    NoWorker,
    Overloaded,
    QueueUnavailable,
    TimeLimitExceeded,
    UnknownModel,
)
from jobs.generate import Piece, Pieces, ScoredToken, TokenLogprobs, ToolCall
from jobs.job import Lane
from tests.support.chat_requests import (
    CHAT,
    Caller,
    ScriptedQueue,
    Sent,
    chat,
    chunks_of,
    deltas,
    said,
    sent_events,
)
from tests.support.memory_generation import CHAT_MODEL, DIGEST, THOUGHT
from tests.support.memory_queue import MemoryQueue
from tests.support.waiting import turns, within
from tests.unit.api.conftest import Connect

STREAM: dict[str, Any] = {**CHAT, "stream": True}


def word(text: str, choice: int = 0) -> Piece:
    return Piece(choice, text, tokens=(1,))


END = Piece(finish_reason="stop")
FIRST = {"role": "assistant", "content": "", "refusal": None}


async def streamed(
    script: ScriptedQueue, app: FastAPI, *events: Pieces | Exception | None, **fields: Any
) -> list[Sent]:
    """What a caller reads where the queue streams these events."""
    for event in events:
        script.script.put_nowait(event)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq") as client:
        reply = await chat(client, stream=True, **fields)
    assert reply.status_code == 200
    return sent_events(reply.text)


async def test_a_stream_is_exactly_openais(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, stream=True)
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["cache-control"] == "no-cache"
    *events, done = sent_events(reply.text)
    assert done == Sent(None, "[DONE]")
    head = {key: events[0].data[key] for key in ("id", "created", "system_fingerprint")}
    assert head["system_fingerprint"] == system_fingerprint(DIGEST)
    assert head["id"] == f"chatcmpl-{reply.headers['x-job-id']}"
    assert head["created"] > 1_700_000_000

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "object": "chat.completion.chunk", "model": CHAT_MODEL.id, "choices": [choice]}

    assert events == [
        Sent(None, chunk(FIRST)),
        Sent(1, chunk({"content": "one"})),
        Sent(2, chunk({"content": " two"})),
        Sent(3, chunk({"content": " three"})),
        Sent(4, chunk({}, "stop")),
    ]


async def test_a_streams_job_is_found_by_its_header(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, stream=True)
    assert reply.headers["location"] == f"/v1/jobs/{reply.headers['x-job-id']}"
    assert (await chat_client.get(reply.headers["location"])).json()["status"] == "finished"


async def test_usage_comes_last_where_it_is_asked_for(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, stream=True, n=2, stream_options={"include_usage": True})
    *chunks, last = chunks_of(sent_events(reply.text))
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 6,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


async def test_each_choice_begins_with_its_role_and_ends_with_its_reason(chat_client: httpx.AsyncClient):
    events = sent_events((await chat(chat_client, stream=True, n=3)).text)
    for choice in range(3):
        first, *middle, last = deltas(events, choice)
        assert first == FIRST
        assert middle == [{"content": "one"}, {"content": " two"}, {"content": " three"}]
        assert last == {}


async def test_pieces_that_came_together_share_a_write_and_only_the_last_is_numbered(
    script: ScriptedQueue, app: FastAPI
):
    caller = Caller(app, "POST", "/v1/chat/completions", {**STREAM, "n": 2})
    script.script.put_nowait(said(word("a", 0), word("b", 1)))
    assert (await caller.message())["status"] == 200
    events = sent_events((await caller.body()).decode())
    assert [event.id for event in events] == [None, None, None, 1]
    script.script.put_nowait(said(word(" c", 0), Piece(1, " d", tokens=(1,), finish_reason="length")))
    events = sent_events((await caller.body()).decode())
    assert [event.id for event in events] == [None, None, 2]
    assert deltas(events, 1) == [{"content": " d"}, {}]
    script.script.put_nowait(None)
    assert await caller.body() == b"data: [DONE]\n\n"
    await caller.ended()


async def test_events_that_are_there_together_share_a_write(script: ScriptedQueue, app: FastAPI):
    for text in ("a", " b", " c"):
        script.script.put_nowait(said(word(text)))
    caller = Caller(app, "POST", "/v1/chat/completions", STREAM)
    await caller.message()
    assert [event.id for event in sent_events((await caller.body()).decode())] == [None, 1, 2, 3]
    script.script.put_nowait(None)
    await caller.ended()


async def test_nothing_is_sent_before_the_first_event(script: ScriptedQueue, app: FastAPI):
    caller = Caller(app, "POST", "/v1/chat/completions", STREAM)
    await within(script.listening.wait())
    await turns()
    assert not caller.is_answered
    script.script.put_nowait(said(word("a")))
    assert (await caller.message())["status"] == 200
    script.script.put_nowait(None)
    await caller.ended()


async def test_reasoning_and_answer_are_apart(chat_client: httpx.AsyncClient):
    events = sent_events((await chat(chat_client, stream=True, enable_thinking=True)).text)
    assert deltas(events)[:3] == [FIRST, {"reasoning_content": THOUGHT}, {"content": "one"}]


async def test_reasoning_may_end_where_the_answer_begins(script: ScriptedQueue, app: FastAPI):
    events = await streamed(
        script, app, said(Piece(text="so", reasoning="hm", tokens=(1, 2))), said(END), None
    )
    assert deltas(events)[:2] == [FIRST, {"reasoning_content": "hm", "content": "so"}]


async def test_calls_are_numbered_through_the_choice(script: ScriptedQueue, app: FastAPI):
    one, two = (Piece(tokens=(1,), tool_calls=(ToolCall(f"c{n}", "look", '{"n":1}'),)) for n in (0, 1))
    end = Piece(finish_reason="tool_calls")
    events = await streamed(script, app, said(one), said(two), said(end), None)
    function = {"name": "look", "arguments": '{"n":1}'}
    role, first, second, last = deltas(events)
    assert role == {**FIRST, "content": None}
    assert first == {"tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": function}]}
    assert second == {"tool_calls": [{"index": 1, "id": "c1", "type": "function", "function": function}]}
    assert last == {}
    assert chunks_of(events)[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_withheld_tokens_count_though_nothing_is_sent(script: ScriptedQueue, app: FastAPI):
    withheld = Piece(tokens=(1, 2, 3))
    events = await streamed(
        script, app, said(word("a")), said(withheld), said(END), None, stream_options={"include_usage": True}
    )
    assert [event.id for event in events] == [None, 1, 3, None, None]
    assert chunks_of(events)[-1]["usage"]["completion_tokens"] == 4


async def test_logprobs_come_with_the_text_of_their_tokens(script: ScriptedQueue, app: FastAPI):
    chance = ScoredToken("", b"\xc3", -0.25)
    part = Piece(tokens=(1,), logprobs=(TokenLogprobs(chance, (chance,)),))
    events = await streamed(script, app, said(word("a")), said(part), said(END), None, logprobs=True)
    token = {"token": "", "logprob": -0.25, "bytes": [195]}
    choice = chunks_of(events)[2]["choices"][0]
    assert choice["delta"] == {"content": ""}
    assert choice["logprobs"] == {"content": [{**token, "top_logprobs": [token]}], "refusal": None}


async def test_text_of_any_kind_arrives_as_it_is(script: ScriptedQueue, app: FastAPI):
    text = 'a\n\ndata: [DONE]\r\n"\\\u2028\x00é🙂'
    events = await streamed(script, app, said(word(text)), said(word(text)), said(END), None)
    assert [delta.get("content") for delta in deltas(events)] == ["", text, text, None]


async def test_what_is_withheld_at_the_beginning_may_become_a_call(script: ScriptedQueue, app: FastAPI):
    call = Piece(tokens=(1,), tool_calls=(ToolCall("c", "look", "{}"),), finish_reason="tool_calls")
    events = await streamed(script, app, said(Piece(tokens=(1, 2))), said(call), None)
    assert deltas(events)[0] == {**FIRST, "content": None}


async def test_an_answer_without_a_word_has_its_role(script: ScriptedQueue, app: FastAPI):
    assert deltas(await streamed(script, app, said(END), None)) == [FIRST, {}]


async def test_an_end_marker_is_no_token_of_the_answer(script: ScriptedQueue, app: FastAPI):
    chance = ScoredToken("<end>", b"<end>", -0.25)
    end = Piece(tokens=(1,), logprobs=(TokenLogprobs(chance, hidden=True, ends=True),), finish_reason="stop")
    events = await streamed(script, app, said(word("a")), said(end), None, logprobs=True)
    assert deltas(events) == [FIRST, {"content": "a"}, {}]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("stream", [False, None])
async def test_options_of_a_stream_need_one(chat_client: httpx.AsyncClient, path: str, stream: bool | None):
    body = {**CHAT, "prompt": "a", "stream": stream, "stream_options": {"include_usage": True}}
    reply = await chat_client.post(path, json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "stream_options")
    body["stream_options"] = None
    assert (await chat_client.post(path, json=body)).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputTooLong(param="messages"), 400),
        (UnknownModel(param="model"), 404),
        (Overloaded(retry_after_s=7), 429),
        (NoWorker(), 503),
        (QueueUnavailable(), 503),
    ],
    ids=lambda value: getattr(value, "code", None),
)
async def test_a_job_that_fails_at_once_has_a_proper_status(connect: Connect, error: JobError, status: int):
    refusing = MemoryQueue(models=(CHAT_MODEL,), refusal=error)
    failing = MemoryQueue(models=(CHAT_MODEL,), failure=error)
    for queue in (refusing, failing):
        reply = await chat(connect(queue), stream=True)
        assert reply.status_code == status
        assert reply.json()["error"]["code"] == error.code
        assert reply.json()["error"]["param"] == error.param


async def test_a_stream_that_does_not_begin_is_answered_504_and_canceled(connect: Connect):
    queue = MemoryQueue(models=(CHAT_MODEL,), held=True)
    reply = await chat(connect(queue, wait_s=0.01), stream=True)
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
    assert len(queue.canceled) == 1


async def test_an_error_on_the_way_ends_the_stream_without_done(script: ScriptedQueue, app: FastAPI):
    *_, before, last = await streamed(script, app, said(word("a")), TimeLimitExceeded())
    assert before.id == 1
    assert last == Sent(
        None,
        {
            "error": {
                "message": TimeLimitExceeded().message,
                "type": "server_error",
                "param": None,
                "code": "time_limit_exceeded",
            }
        },
    )


async def test_an_unforeseen_error_on_the_way_is_logged_but_not_shown(
    script: ScriptedQueue, app: FastAPI, caplog: pytest.LogCaptureFixture
):
    *_, last = await streamed(script, app, said(word("a")), ZeroDivisionError("the inner workings"))
    assert last.data["error"]["code"] == "internal_error"
    assert "inner workings" not in str(last)
    assert "ZeroDivisionError" in caplog.text


async def test_a_caller_who_disconnects_takes_its_job_with_it(script: ScriptedQueue, app: FastAPI):
    caller = Caller(app, "POST", "/v1/chat/completions", STREAM)
    script.script.put_nowait(said(word("a")))
    await caller.message()
    caller.disconnect()
    await caller.ended()
    assert len(script.canceled) == 1
    assert script.left.is_set()


async def test_a_caller_who_disconnects_before_the_first_event_takes_its_job_with_it(
    script: ScriptedQueue, app: FastAPI
):
    caller = Caller(app, "POST", "/v1/chat/completions", STREAM)
    await within(script.listening.wait())
    caller.disconnect()
    await caller.ended()
    assert len(script.canceled) == 1
    assert script.left.is_set()


async def test_a_connection_that_breaks_takes_the_job_with_it(script: ScriptedQueue, app: FastAPI):
    caller = Caller(app, "POST", "/v1/chat/completions", STREAM)
    script.script.put_nowait(said(word("a")))
    await caller.message()
    await caller.message()
    caller.broken = True
    script.script.put_nowait(said(word(" b")))
    await caller.ended()
    assert len(script.canceled) == 1


async def test_a_server_that_shuts_down_takes_the_job_with_it(script: ScriptedQueue, app: FastAPI):
    caller = Caller(app, "POST", "/v1/chat/completions", STREAM)
    script.script.put_nowait(said(word("a")))
    await caller.message()
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.ended()
    assert len(script.canceled) == 1


async def test_a_keyed_job_outlives_its_caller(script: ScriptedQueue, app: FastAPI):
    caller = Caller(app, "POST", "/v1/chat/completions", STREAM, Idempotency_Key="k")
    script.script.put_nowait(said(word("a")))
    await caller.message()
    caller.disconnect()
    await caller.ended()
    assert script.left.is_set()
    assert not script.canceled


async def test_the_same_key_streams_the_same_answer_again(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    headers = {"Idempotency-Key": "k"}
    replies = [await chat_client.post("/v1/chat/completions", json=STREAM, headers=headers) for _ in range(2)]
    assert sent_events(replies[0].text)[0].data["id"] == sent_events(replies[1].text)[0].data["id"]
    assert len(generator.submitted) == 1


async def test_a_streams_job_waits_no_longer_than_its_caller(connect: Connect, generator: MemoryQueue):
    await chat(connect(generator, wait_s=2.5), stream=True)
    options = generator.submitted[0][1]
    assert (options.lane, options.ttl_s, options.awaited) == (Lane.INTERACTIVE, 3, True)


async def test_respond_async_hands_out_the_job_of_a_stream(connect: Connect):
    queue = MemoryQueue(models=(CHAT_MODEL,), held=True)
    client = connect(queue)
    reply = await client.post("/v1/chat/completions", json=STREAM, headers={"Prefer": "respond-async"})
    assert reply.status_code == 202
    queue.release()
    events = await client.get(f"{reply.headers['location']}/events")
    assert sent_events(events.text)[-1].data == "[DONE]"


async def test_respond_async_with_wait_streams_if_it_begins_in_time(connect: Connect):
    client = connect(MemoryQueue(models=(CHAT_MODEL,)))
    reply = await client.post(
        "/v1/chat/completions", json=STREAM, headers={"Prefer": "respond-async, wait=5"}
    )
    assert reply.status_code == 200

    queue = MemoryQueue(models=(CHAT_MODEL,), held=True)
    reply = await connect(queue).post(
        "/v1/chat/completions", json=STREAM, headers={"Prefer": "respond-async, wait=0"}
    )
    assert reply.status_code == 202
    assert reply.headers["preference-applied"] == "respond-async, wait=0"
    assert not queue.canceled


async def test_a_keyed_stream_that_does_not_begin_says_where_it_goes_on(connect: Connect):
    queue = MemoryQueue(models=(CHAT_MODEL,), held=True)
    reply = await connect(queue, wait_s=0.01).post(
        "/v1/chat/completions", json=STREAM, headers={"Idempotency-Key": "k"}
    )
    assert reply.status_code == 504
    assert "/v1/jobs/" in reply.json()["error"]["message"]
    assert not queue.canceled
