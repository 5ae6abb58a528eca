"""A call of a tool that max_tokens cut, in each dialect: what there is of it, and that the length is why it ended."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from api.app import create_app
from jobs.generate import Choice, GenerateResult, Piece, Pieces, ToolCall
from jobs.settings import Settings
from tests.support.chat_requests import HELLO
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.conftest import Connect

WHOLE = ToolCall("call_0", "ask", '{"q":1}')
SCHEMA = {"type": "object", "properties": {"q": {"type": "integer"}, "text": {"type": "string"}}}
OPENAI_TOOLS: Any = [{"type": "function", "function": {"name": "ask", "parameters": SCHEMA}}]
ANTHROPIC_TOOLS: Any = [{"name": "ask", "input_schema": SCHEMA}]

BEGINNINGS = [
    ("", {}),
    ("{", {}),
    ('{"q": 2, "te', {"q": 2}),
    ('{"q": 2, "text": "what if', {"q": 2}),
    ('{"q": 2, "text": "what if"', {"q": 2, "text": "what if"}),
]
"""Arguments as far as they were written, and the members that are complete."""


class Cut(MemoryQueue):
    """Answers with a whole call, and one whose arguments are cut."""

    def __init__(self, arguments: str) -> None:
        super().__init__(models=(CHAT_MODEL,))
        self._calls = (WHOLE, ToolCall("call_1", "ask", arguments, cut=True))

    async def wait(self, job_id: str, timeout_s: float) -> GenerateResult:
        return GenerateResult((Choice("I ask.", "length", 9, tool_calls=self._calls),), 1)

    async def stream(self, job_id: str, after: int = 0) -> AsyncIterator[tuple[int, Pieces]]:
        yield 1, Pieces(1, 0, (Piece(text="I ask.", tokens=(1,)),))
        yield 2, Pieces(1, 0, (Piece(tokens=(1, 1), tool_calls=self._calls[:1]),))
        yield 3, Pieces(1, 0, (Piece(tokens=(1,), tool_calls=self._calls[1:], finish_reason="length"),))


def http_of(queue: MemoryQueue) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(queue, Settings())))


@pytest.mark.parametrize("arguments", [text for text, _ in BEGINNINGS])
async def test_openais_has_its_arguments_as_they_are(arguments: str):
    client = openai.AsyncOpenAI(
        base_url="http://mlxq/v1", api_key="none", http_client=http_of(Cut(arguments))
    )
    asked: Any = {"model": CHAT_MODEL.id, "messages": HELLO, "tools": OPENAI_TOOLS}
    [choice] = (await client.chat.completions.create(**asked)).choices
    assert choice.message.content == "I ask."
    told = [call.function.arguments for call in choice.message.tool_calls or () if call.type == "function"]
    assert (told, choice.finish_reason) == (['{"q":1}', arguments], "length")
    deltas: dict[int, str] = {}
    reasons: list[str | None] = []
    async for chunk in await client.chat.completions.create(**asked, stream=True):
        reasons.append(chunk.choices[0].finish_reason)
        for call in chunk.choices[0].delta.tool_calls or ():
            assert call.function
            deltas[call.index] = deltas.get(call.index, "") + (call.function.arguments or "")
    assert deltas == {0: '{"q":1}', 1: arguments}
    assert reasons == [None, None, None, None, "length"]


@pytest.mark.parametrize(("arguments", "members"), BEGINNINGS)
async def test_anthropics_has_the_members_that_are_complete(arguments: str, members: dict[str, Any]):
    client = anthropic.AsyncAnthropic(
        base_url="http://mlxq", api_key="none", http_client=http_of(Cut(arguments))
    )
    asked: dict[str, Any] = {
        "model": CHAT_MODEL.id,
        "messages": HELLO,
        "max_tokens": 9,
        "tools": ANTHROPIC_TOOLS,
    }
    whole = await client.messages.create(**asked)
    async with client.messages.stream(**asked) as stream:
        written = [
            event.delta.partial_json
            async for event in stream
            if event.type == "content_block_delta" and event.delta.type == "input_json_delta"
        ]
        gathered = await stream.get_final_message()
    assert written == ['{"q":1}', arguments]
    for message in (whole, gathered):
        text, *calls = message.content
        assert (text.type, message.stop_reason) == ("text", "max_tokens")
        assert [call.input for call in calls if call.type == "tool_use"] == [{"q": 1}, members]


@pytest.mark.parametrize("arguments", [text for text, _ in BEGINNINGS])
async def test_ollamas_cannot_be_taken_for_a_whole_one(connect: Connect, arguments: str):
    client = connect(Cut(arguments))
    body: dict[str, Any] = {"model": CHAT_MODEL.id, "messages": HELLO, "tools": OPENAI_TOOLS}
    whole = (await client.post("/api/chat", json={**body, "stream": False})).json()
    told = [call["function"]["arguments"] for call in whole["message"]["tool_calls"]]
    assert (told, whole["done_reason"]) == ([{"q": 1}, {"arguments": arguments}], "length")
    lines = [json.loads(line) for line in (await client.post("/api/chat", json=body)).text.splitlines()]
    streamed = [
        call["function"]["arguments"] for line in lines for call in line["message"].get("tool_calls", ())
    ]
    assert (streamed, lines[-1]["done_reason"]) == (told, "length")


async def test_arguments_that_are_no_object_are_told_as_elsewhere(connect: Connect):
    reply = await connect(Cut("[1, 2")).post(
        "/v1/messages", json={"model": CHAT_MODEL.id, "messages": HELLO, "max_tokens": 9}
    )
    assert reply.json()["content"][-1]["input"] == {"arguments": "[1, 2"}
