"""Streams of Cohere's chat, as its own client sees them."""

import json
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.dialects.cohere.chat_events import CohereLines
from jobs import errors
from jobs.generate import Choice, Piece
from jobs.settings import Settings
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.dialects.cohere.test_cohere_chat import CALL, CHAT, Scripted, client_of, scored


async def test_a_stream_opens_grows_and_closes():
    queue = Scripted(
        Choice("", "stop", 0),
        Piece(reasoning="H", tokens=(1,)),
        Piece(reasoning="m.", tokens=(1,)),
        Piece(text="one", tokens=(1,), logprobs=(scored("one", 5),)),
        Piece(text=" two", tokens=(1,), logprobs=(scored(" two", 6),)),
        Piece(tool_calls=(CALL, CALL), tokens=(1, 1), finish_reason="tool_calls"),
    )
    events = [event async for event in client_of(queue).chat_stream(**CHAT, logprobs=True)]
    for event in events:
        type(event).model_validate(event.model_dump(), strict=True)
    assert [(event.type, getattr(event, "index", None)) for event in events] == [
        ("message-start", None),
        ("content-start", 0),
        ("content-delta", 0),
        ("content-delta", 0),
        ("content-end", 0),
        ("content-start", 1),
        ("content-delta", 1),
        ("content-delta", 1),
        ("content-end", 1),
        ("tool-call-start", 0),
        ("tool-call-delta", 0),
        ("tool-call-end", 0),
        ("tool-call-start", 1),
        ("tool-call-delta", 1),
        ("tool-call-end", 1),
        ("message-end", None),
    ]
    shown: list[Any] = [event.model_dump(exclude_none=True) for event in events]
    assert shown[0]["id"] and shown[0]["delta"]["message"]["role"] == "assistant"
    assert shown[1]["delta"]["message"]["content"] == {"type": "thinking", "thinking": ""}
    assert shown[2]["delta"]["message"]["content"] == {"thinking": "H"}
    assert shown[5]["delta"]["message"]["content"] == {"type": "text", "text": ""}
    assert shown[7]["delta"]["message"]["content"] == {"text": " two"}
    assert shown[7]["logprobs"] == {"text": " two", "token_ids": [6], "logprobs": [-0.5]}
    begun = {"id": "c1", "type": "function", "function": {"name": "ask", "arguments": ""}}
    assert shown[9]["delta"]["message"]["tool_calls"] == begun
    assert shown[10]["delta"]["message"]["tool_calls"] == {"function": {"arguments": '{"q": 1}'}}
    assert shown[-1]["delta"]["usage"] == {
        "billed_units": {"input_tokens": 10, "output_tokens": 6},
        "tokens": {"input_tokens": 10, "output_tokens": 6},
        "cached_tokens": 7,
    }


async def types_of(*pieces: Piece) -> list[str]:
    queue = Scripted(Choice("", "stop", 0), *pieces)
    return [event.type async for event in client_of(queue).chat_stream(**CHAT, logprobs=True)]


CALLED = ["tool-call-start", "tool-call-delta", "tool-call-end"]
TEXT_OF_ONE = ["content-start", "content-delta", "content-end"]


async def test_the_tokens_of_a_call_are_no_text():
    begun = Piece(tokens=(1,), logprobs=(scored("<tool_call>", 5),))
    call = Piece(tool_calls=(CALL,), tokens=(1,), logprobs=(scored("}", 6),), finish_reason="tool_calls")
    assert await types_of(begun, call) == ["message-start", *CALLED, "message-end"]
    text = Piece(text="I ask.", tokens=(1,), logprobs=(scored("I ask.", 4),))
    assert await types_of(text, begun, call) == ["message-start", *TEXT_OF_ONE, *CALLED, "message-end"]


async def test_tokens_without_a_text_of_their_own_are_told_with_the_next_text():
    queue = Scripted(
        Choice("", "stop", 0),
        Piece(tokens=(1,), logprobs=(scored("", 5),)),
        Piece(text="é", tokens=(1,), logprobs=(scored("é", 6),)),
        Piece(tokens=(1,), logprobs=(scored("", 7),), finish_reason="length"),
    )
    events = [event async for event in client_of(queue).chat_stream(**CHAT, logprobs=True)]
    told: list[Any] = [
        event.model_dump().get("logprobs") for event in events if event.type == "content-delta"
    ]
    assert [(each["text"], each["token_ids"]) for each in told] == [("é", [5, 6]), ("", [7])]
    assert [event.type for event in events][-3:] == ["content-delta", "content-end", "message-end"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([Piece(tokens=(1,), finish_reason="stop")], ["content-start", "content-end"]),
        ([], ["content-start", "content-end"]),
        (
            [Piece(reasoning="Hm.", tokens=(1,)), Piece(tokens=(1,), finish_reason="stop")],
            [*TEXT_OF_ONE, "content-start", "content-end"],
        ),
        ([Piece(text="a", tokens=(1,), finish_reason="stop")], TEXT_OF_ONE),
        ([Piece(reasoning="Hm.", tokens=(1,)), Piece(tool_calls=(CALL,))], [*TEXT_OF_ONE, *CALLED]),
    ],
)
async def test_a_stream_has_the_contents_of_the_whole_reply(pieces: list[Piece], expected: list[str]):
    """An answer without a call has a text, which may be empty."""
    assert await types_of(*pieces) == ["message-start", *expected, "message-end"]


async def test_a_stream_ends_with_the_mark_that_old_clients_wait_for(generator: MemoryQueue):
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(generator, Settings())))
    body = (await http.post("http://mlxq/v2/chat", json={**CHAT, "stream": True})).text
    first, *_, last = body.removesuffix("\n\n").split("\n\n")
    assert last == "data: [DONE]"
    name, data = first.split("\n")
    assert (name, json.loads(data.removeprefix("data: "))["type"]) == (
        "event: message-start",
        "message-start",
    )


@pytest.mark.parametrize(
    ("accept", "lines"),
    [
        ("application/json", True),
        ("application/x-ndjson, application/json;q=0.5", True),
        ("application/json, text/event-stream", False),
        ("application/json, */*;q=0.1", False),
        ("*/*", False),
        ("", False),
    ],
)
async def test_who_takes_json_alone_gets_a_line_for_each_event(
    generator: MemoryQueue, accept: str, lines: bool
):
    """LiteLLM reads Cohere's streams so."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(generator, Settings())))
    asked = {**CHAT, "stream": True}
    reply = await http.post("http://mlxq/v2/chat", json=asked, headers={"accept": accept})
    kind, _, _ = reply.headers["content-type"].partition(";")
    assert kind == ("application/x-ndjson" if lines else "text/event-stream")
    if lines:
        kinds = [json.loads(line)["type"] for line in reply.text.splitlines()]
        assert (kinds[0], kinds[-1]) == ("message-start", "message-end")


def test_the_line_that_says_that_a_stream_lives_is_an_event():
    assert json.loads(CohereLines("job", logprobs=False).waiting) == {"type": "debug"}


async def test_an_error_on_the_way_ends_the_message():
    queue = Scripted(Choice("", "stop", 0), Piece(text="a", tokens=(1,)), failure=errors.TimeLimitExceeded())
    events = [event async for event in client_of(queue).chat_stream(**CHAT)]
    assert [event.type for event in events][-2:] == ["content-end", "message-end"]
    delta = events[-1].delta  # pyright: ignore
    assert (delta.finish_reason, delta.error) == ("ERROR", errors.TimeLimitExceeded().message)  # pyright: ignore
