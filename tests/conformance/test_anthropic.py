"""What Anthropic's own client sees; a fake that echoes does the work."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from jobs.errors import InternalError, NoWorker, Overloaded, TimeLimitExceeded
from jobs.generate import Choice, GenerateResult, Piece, Pieces, ToolCall
from tests.conformance.conftest import Serve, serving
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MODEL, MemoryQueue

HELLO: list[MessageParam] = [{"role": "user", "content": "one two three"}]
TOOLS: list[ToolParam] = [
    {"name": name, "input_schema": {"type": "object", "properties": {}}} for name in ("look_up", "ask")
]
IMAGE = base64.b64encode(b"not decoded here").decode()


Connect = Callable[[MemoryQueue], anthropic.Anthropic]


def client_of(base_url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=base_url, api_key="unused", max_retries=0)


@pytest.fixture
def connect(serve: Serve) -> Iterator[Connect]:
    """A client of a server over a queue of the test's own making."""
    with ExitStack() as clients:
        yield lambda queue: clients.enter_context(client_of(serve(queue)))


@pytest.fixture(scope="module")
def client() -> Iterator[anthropic.Anthropic]:
    with serving(MemoryQueue(models=(MODEL, CHAT_MODEL))) as base_url, client_of(base_url) as client:
        yield client


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": CHAT_MODEL.id, "messages": HELLO, "max_tokens": 100, **fields}


def test_a_message_is_answered(client: anthropic.Anthropic):
    reply = client.messages.create(**asked(system="Be kind."))
    assert (reply.type, reply.role, reply.model) == ("message", "assistant", CHAT_MODEL.id)
    [block] = reply.content
    assert block.type == "text"
    assert block.text == "one two three"
    assert (reply.stop_reason, reply.stop_sequence) == ("end_turn", None)
    assert (reply.usage.input_tokens, reply.usage.cache_read_input_tokens) == (3, 2)
    assert reply.usage.output_tokens == 3


def test_a_message_is_streamed(client: anthropic.Anthropic):
    with client.messages.stream(**asked(thinking={"type": "enabled", "budget_tokens": 1024})) as stream:
        assert list(stream.text_stream) == ["one", " two", " three"]
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    thinking, text = final.content
    assert thinking.type == "thinking"
    assert thinking.thinking == THOUGHT
    assert text.type == "text"
    assert text.text == "one two three"
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == ("end_turn", 3, 4)


def test_raw_events_come_in_the_documented_order(client: anthropic.Anthropic):
    events = [event.type for event in client.messages.create(**asked(stream=True, max_tokens=1))]
    assert events == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_an_answer_ends_where_it_is_told_to(client: anthropic.Anthropic):
    cut = client.messages.create(**asked(max_tokens=1))
    assert cut.stop_reason == "max_tokens"
    stopped = client.messages.create(**asked(stop_sequences=[" two"]))
    with client.messages.stream(**asked(stop_sequences=["four", " two"])) as stream:
        streamed = stream.get_final_message()
    for message in (stopped, streamed):
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", " two")
        assert [block.text for block in message.content if block.type == "text"] == ["one"]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "any"}, ["look_up", "ask"]),
        ({"type": "any", "disable_parallel_tool_use": True}, ["look_up"]),
        ({"type": "tool", "name": "ask"}, ["ask"]),
    ],
)
def test_tools_are_called(client: anthropic.Anthropic, choice: dict[str, Any], names: list[str]):
    fields = asked(tools=TOOLS, tool_choice=choice)
    reply = client.messages.create(**fields)
    with client.messages.stream(**fields) as stream:
        streamed = stream.get_final_message()
    for message in (reply, streamed):
        assert message.stop_reason == "tool_use"
        calls = [block for block in message.content if block.type == "tool_use"]
        assert [(call.name, call.input) for call in calls] == [(name, {}) for name in names]


def test_the_arguments_of_a_call_arrive_as_an_object(connect: Connect):
    call = ToolCall("c1", "ask", '{"question": "Wärum?"}')

    class Calling(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return GenerateResult((Choice("", "tool_calls", 1, tool_calls=(call,)),), 1)

        async def stream(self, job_id: str, after: int = 0):
            yield 1, Pieces(1, 0, (Piece(tokens=(1,), tool_calls=(call,), finish_reason="tool_calls"),))

    client = connect(Calling(models=(CHAT_MODEL,)))
    whole = client.messages.create(**asked(tools=TOOLS))
    with client.messages.stream(**asked(tools=TOOLS)) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        [block] = message.content
        assert block.type == "tool_use"
        assert (block.id, block.input) == ("c1", {"question": "Wärum?"})


def test_a_conversation_with_tools_and_images_goes_on(client: anthropic.Anthropic):
    first = client.messages.create(**asked(tools=TOOLS, tool_choice={"type": "tool", "name": "ask"}))
    [call] = first.content
    assert call.type == "tool_use"
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "1"}]}
    image = {"type": "image", "source": source}
    text = {"type": "text", "text": "And this?", "cache_control": {"type": "ephemeral"}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result, image, text]},
    ]
    reply = client.messages.create(**asked(messages=messages, tools=TOOLS))
    assert [block.text for block in reply.content if block.type == "text"] == ["<image> And this?"]


def test_tokens_are_counted(client: anthropic.Anthropic):
    found = client.messages.count_tokens(model=CHAT_MODEL.id, messages=HELLO, system="Be kind.", tools=TOOLS)
    assert found.input_tokens == 5


def test_each_error_is_the_clients_own(client: anthropic.Anthropic, connect: Connect):
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(**asked(model="none"))
    message = "No worker serves the model 'none'. There is: org/chat, org/model."
    assert unknown.value.body == {"type": "error", "error": {"type": "not_found_error", "message": message}}
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        client.messages.create(**asked(extra_body={"temperature": 2}))
    for error, expected in (
        (Overloaded(), anthropic.RateLimitError),
        (NoWorker(), anthropic.InternalServerError),
        (InternalError(), anthropic.InternalServerError),
    ):
        failing = connect(MemoryQueue(models=(CHAT_MODEL,), failure=error))
        for stream in (False, True):
            with pytest.raises(expected, match=error.message):
                failing.messages.create(**asked(stream=stream))


def test_an_error_on_the_way_is_raised(connect: Connect):
    class Breaking(MemoryQueue):
        async def stream(self, job_id: str, after: int = 0):
            yield 1, Pieces(1, 0, (Piece(text="a", tokens=(1,)),))
            raise TimeLimitExceeded

    client = connect(Breaking(models=(CHAT_MODEL,)))
    with client.messages.stream(**asked()) as stream:
        texts = iter(stream.text_stream)
        assert next(texts) == "a"
        with pytest.raises(anthropic.APIStatusError, match=TimeLimitExceeded().message):
            next(texts)
