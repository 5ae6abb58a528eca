"""Anthropic's messages as named server-sent events."""

import json
from typing import Any

from fastapi import FastAPI

from api.dialects.anthropic.events import AnthropicEvents
from api.dialects.anthropic.replies import MessageForm, signature
from api.dialects.stream_response import StreamResponse
from api.work.stream import EventStream
from jobs.errors import Overloaded, TimeLimitExceeded
from jobs.generate import Piece, Pieces, ToolCall
from tests.support.chat_requests import HELLO, Caller, ScriptedQueue, said, stream_body
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.support.waiting import within
from tests.unit.api.conftest import Connect

STREAM: dict[str, Any] = {"model": CHAT_MODEL.id, "messages": HELLO, "max_tokens": 100, "stream": True}
USAGE = {
    "input_tokens": 2,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 1,
    "output_tokens": 0,
}


def events_of(body: bytes) -> list[dict[str, Any]]:
    """Strict: two lines, the first of which names what the second holds."""
    assert body.endswith(b"\n\n")
    found: list[dict[str, Any]] = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


async def streamed(
    script: ScriptedQueue, app: FastAPI, *items: Pieces | Exception | None
) -> list[dict[str, Any]]:
    return events_of(await stream_body(script, app, "/v1/messages", STREAM, *items))


def growth(index: int, **delta: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def opened(index: int, **block: object) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


async def test_an_answer_is_blocks_that_open_grow_and_close(script: ScriptedQueue, app: FastAPI):
    call = ToolCall("c1", "ask", '{"q": 1}')
    events = await streamed(
        script,
        app,
        said(Piece(reasoning="H", tokens=(1,))),
        said(Piece(reasoning="m.", tokens=(1,))),
        said(Piece(text="one", tokens=(1,))),
        said(Piece(text=" two", tokens=(1,))),
        said(Piece(tool_calls=(call, call), tokens=(1, 1), finish_reason="tool_calls")),
        None,
    )
    start, *blocks, delta, stop = events
    assert start["message"].pop("id").startswith("msg_")
    assert start == {
        "type": "message_start",
        "message": {
            "type": "message",
            "role": "assistant",
            "model": CHAT_MODEL.id,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": USAGE,
        },
    }
    called = {"type": "tool_use", "id": "c1", "name": "ask", "input": {}}
    assert blocks == [
        opened(0, type="thinking", thinking="", signature=""),
        growth(0, type="thinking_delta", thinking="H"),
        growth(0, type="thinking_delta", thinking="m."),
        growth(0, type="signature_delta", signature=signature("Hm.")),
        closed(0),
        opened(1, type="text", text=""),
        growth(1, type="text_delta", text="one"),
        growth(1, type="text_delta", text=" two"),
        closed(1),
        opened(2, **called),
        growth(2, type="input_json_delta", partial_json='{"q": 1}'),
        closed(2),
        opened(3, **called),
        growth(3, type="input_json_delta", partial_json='{"q": 1}'),
        closed(3),
    ]
    assert delta == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {**USAGE, "output_tokens": 6},
    }
    assert stop == {"type": "message_stop"}


async def test_thoughts_that_are_hidden_are_a_block_with_a_signature_alone(
    script: ScriptedQueue, app: FastAPI
):
    asked = {**STREAM, "thinking": {"type": "adaptive", "display": "omitted"}}
    pieces = [Piece(reasoning="H"), Piece(reasoning="m."), Piece(text="one", finish_reason="stop")]
    body = await stream_body(script, app, "/v1/messages", asked, *map(said, pieces), None)
    assert events_of(body)[1:5] == [
        opened(0, type="thinking", thinking="", signature=""),
        growth(0, type="signature_delta", signature=signature("Hm.")),
        closed(0),
        opened(1, type="text", text=""),
    ]


async def test_each_block_of_thoughts_has_its_own_signature(script: ScriptedQueue, app: FastAPI):
    pieces = [Piece(reasoning="a"), Piece(text="b"), Piece(reasoning="c", finish_reason="length")]
    events = await streamed(script, app, *map(said, pieces), None)
    signed = [each["delta"]["signature"] for each in events if "signature" in each.get("delta", {})]
    assert signed == [signature("a"), signature("c")]


async def test_text_after_a_call_is_a_block_of_its_own(script: ScriptedQueue, app: FastAPI):
    call = ToolCall("c1", "ask", "{}")
    events = await streamed(
        script,
        app,
        said(Piece(text="a", tokens=(1,))),
        said(Piece(tool_calls=(call,), tokens=(1,))),
        said(Piece(text="b", tokens=(1,), finish_reason="length")),
        None,
    )
    blocks = [each["content_block"]["type"] for each in events if each["type"] == "content_block_start"]
    assert blocks == ["text", "tool_use", "text"]
    assert [each["index"] for each in events if each["type"] == "content_block_stop"] == [0, 1, 2]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


async def test_the_end_tells_which_stop_sequence_it_was(script: ScriptedQueue, app: FastAPI):
    last = Piece(text="one", tokens=(1,), finish_reason="stop", stop="END")
    *_, delta, _ = await streamed(script, app, said(last), None)
    assert delta["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


async def test_a_stop_sequence_behind_a_call_is_not_told(script: ScriptedQueue, app: FastAPI):
    call = ToolCall("c1", "ask", "{}")
    last = Piece(tool_calls=(call,), tokens=(1,), finish_reason="tool_calls", stop="END")
    *_, delta, _ = await streamed(script, app, said(last), None)
    assert delta["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


async def test_an_answer_without_text_is_an_empty_message(script: ScriptedQueue, app: FastAPI):
    events = await streamed(script, app, said(Piece(tokens=(1,), finish_reason="stop")), None)
    assert [each["type"] for each in events] == ["message_start", "message_delta", "message_stop"]
    assert events[1]["usage"]["output_tokens"] == 1


async def test_a_stream_with_nothing_to_tell_pings(script: ScriptedQueue):
    stream = EventStream(script, ["job"], cancels=False, keep_alive_s=0.01)
    response = StreamResponse(stream, AnthropicEvents("job", "model", MessageForm()))
    caller = Caller(response, "POST", "/")
    await caller.message()
    assert events_of(await caller.body()) == [{"type": "ping"}]
    script.script.put_nowait(None)
    await caller.ended()


async def test_an_error_on_the_way_is_the_last_event(script: ScriptedQueue, app: FastAPI):
    events = await streamed(script, app, said(Piece(text="a", tokens=(1,))), TimeLimitExceeded())
    assert events[-1] == {
        "type": "error",
        "error": {"type": "timeout_error", "message": TimeLimitExceeded().message},
    }
    assert "message_stop" not in [each["type"] for each in events]


async def test_a_stream_that_is_refused_has_a_proper_status(connect: Connect):
    queue = MemoryQueue(models=(CHAT_MODEL,), refusal=Overloaded(retry_after_s=7))
    reply = await connect(queue).post("/v1/messages", json=STREAM)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert reply.json()["error"]["type"] == "rate_limit_error"


async def test_a_caller_who_disconnects_takes_its_job_with_it(script: ScriptedQueue, app: FastAPI):
    caller = Caller(app, "POST", "/v1/messages", STREAM)
    await within(script.listening.wait())
    caller.disconnect()
    await caller.ended()
    assert len(script.canceled) == 1
