"""Anthropic's /v1/messages, whole, and its count of tokens."""

import json
from typing import Any

import httpx
import pytest

from api.dialects.anthropic.replies import signature
from jobs import errors
from jobs.answer_format import JsonFormat
from jobs.content import ImagePart, TextPart
from jobs.generate import Choice, GenerateResult, Message, Sampling, ToolCall
from tests.support.chat_requests import HELLO, last_chat, last_job
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": OPAQUE_BASE64}}
TOOLS = [
    {"name": name, "description": "d", "input_schema": {"type": "object"}} for name in ("look_up", "ask")
]
CHAT: dict[str, Any] = {"model": CHAT_MODEL.id, "messages": HELLO, "max_tokens": 100}


async def ask(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/messages", json={**CHAT, **fields})


async def count(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    body = {"model": CHAT_MODEL.id, "messages": HELLO, **fields}
    return await client.post("/v1/messages/count_tokens", json=body)


class Answering(MemoryQueue):
    """Gives the one answer to every job."""

    def __init__(self, choice: Choice, *, cached_tokens: int = 0) -> None:
        super().__init__(models=(CHAT_MODEL,))
        self._result = GenerateResult((choice,), prompt_tokens=10, cached_tokens=cached_tokens)

    async def wait(self, job_id: str, timeout_s: float):
        return self._result


async def test_a_message_is_answered(chat_client: httpx.AsyncClient):
    body = (await ask(chat_client)).json()
    assert body.pop("id").startswith("msg_")
    assert body == {
        "type": "message",
        "role": "assistant",
        "model": CHAT_MODEL.id,
        "content": [{"type": "text", "text": "one two three"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 3,
        },
    }


async def test_cached_tokens_are_no_input_tokens(connect: Connect):
    queue = Answering(Choice("a", "stop", 1), cached_tokens=7)
    usage = (await ask(connect(queue))).json()["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (3, 7)


async def test_an_answer_is_thoughts_then_text_then_calls(connect: Connect):
    calls = (ToolCall("c1", "ask", '{"q": 1}'), ToolCall("c2", "ask", "not json"))
    queue = Answering(Choice("text", "tool_calls", 9, reasoning="thought", tool_calls=calls))
    body = (await ask(connect(queue), tools=TOOLS)).json()
    assert body["content"] == [
        {"type": "thinking", "thinking": "thought", "signature": signature("thought")},
        {"type": "text", "text": "text"},
        {"type": "tool_use", "id": "c1", "name": "ask", "input": {"q": 1}},
        {"type": "tool_use", "id": "c2", "name": "ask", "input": {"arguments": "not json"}},
    ]
    assert body["stop_reason"] == "tool_use"


async def test_an_answer_that_was_cut_says_so(chat_client: httpx.AsyncClient):
    body = (await ask(chat_client, max_tokens=1)).json()
    assert body["stop_reason"] == "max_tokens"
    assert body["content"] == [{"type": "text", "text": "one"}]


async def test_an_answer_says_which_stop_sequence_ended_it(chat_client: httpx.AsyncClient):
    body = (await ask(chat_client, stop_sequences=["four", " three"])).json()
    assert body["content"] == [{"type": "text", "text": "one two"}]
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", " three")


async def test_a_stop_sequence_that_did_not_come_is_not_told(chat_client: httpx.AsyncClient):
    body = (await ask(chat_client, stop_sequences=["four"])).json()
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)


async def test_calls_are_to_be_made_though_a_stop_sequence_came_behind_them(connect: Connect):
    queue = Answering(Choice("", "tool_calls", 9, tool_calls=(ToolCall("c1", "ask", "{}"),), stop="END"))
    body = (await ask(connect(queue), tools=TOOLS, stop_sequences=["END"])).json()
    assert (body["stop_reason"], body["stop_sequence"]) == ("tool_use", None)


async def test_what_shapes_the_answer_is_in_the_job(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    schema = {"type": "object"}
    await ask(
        chat_client,
        temperature=0.5,
        top_p=0.9,
        top_k=7,
        stop_sequences=["END"],
        metadata={"user_id": "x"},
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    job = last_job(generator)
    assert job.sampling == Sampling(temperature=0.5, top_p=0.9, top_k=7)
    assert (job.max_tokens, job.stop, job.stream, job.count_only) == (100, ("END",), False, False)
    assert job.format == JsonFormat('{"type":"object"}', "output_config")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("enabled", {"enable_thinking": True}),
        ("disabled", {"enable_thinking": False}),
        ("adaptive", {}),
        ("between_tools", {}),
    ],
)
async def test_thinking_is_the_templates_to_switch(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, kind: str, options: dict[str, bool]
):
    body = (await ask(chat_client, thinking={"type": kind, "budget_tokens": 1024})).json()
    assert json.loads(last_chat(generator).template_options) == options
    thought = {"type": "thinking", "thinking": THOUGHT, "signature": signature(THOUGHT)}
    assert (thought in body["content"]) == (kind == "enabled")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ("auto", None, True)),
        ({"type": "auto"}, ("auto", None, True)),
        ({"type": "any", "disable_parallel_tool_use": True}, ("required", None, False)),
        ({"type": "tool", "name": "ask"}, ("required", "ask", True)),
        ({"type": "none"}, ("none", None, True)),
    ],
)
async def test_tools_and_their_choice_are_in_the_job(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, choice: object, expected: object
):
    await ask(chat_client, tools=TOOLS, tool_choice=choice)
    chat = last_chat(generator)
    assert (chat.tool_choice, chat.tool_name, chat.parallel_tool_calls) == expected
    assert [(tool.name, tool.description, tool.parameters) for tool in chat.tools] == [
        (name, "d", '{"type":"object"}') for name in ("look_up", "ask")
    ]


async def test_messages_keep_what_they_hold(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    result = {"type": "tool_result", "tool_use_id": "c1"}
    await ask(
        chat_client,
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}, TEXT],
        messages=[
            {"role": "user", "content": [IMAGE, TEXT]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "redacted_thinking", "data": "x"},
                    TEXT,
                    {"type": "tool_use", "id": "c1", "name": "ask", "input": {"q": 1}},
                    {"type": "tool_use", "id": "c2", "name": "ask", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {**result, "content": "1"},
                    {**result, "tool_use_id": "c2", "content": [TEXT, IMAGE], "is_error": True},
                    TEXT,
                    TEXT,
                ],
            },
        ],
    )
    text, image = TextPart("Look."), ImagePart(OPAQUE)
    assert last_chat(generator).messages == (
        Message("system", (TextPart("Be kind.\nLook."),)),
        Message("user", (image, text)),
        Message(
            "assistant",
            (text,),
            reasoning="Hm.",
            tool_calls=(ToolCall("c1", "ask", '{"q":1}'), ToolCall("c2", "ask", "{}")),
        ),
        Message("tool", (TextPart("1"),), tool_call_id="c1"),
        Message("tool", (TextPart("Error: "), text, image), tool_call_id="c2"),
        Message("user", (text, text)),
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [('{"q": 1', '{"q": 1'), ([1], "[1]"), (None, "{}"), ("", "{}"), ({"q": 1}, '{"q":1}')],
)
async def test_what_a_model_has_called_is_shown_as_it_is(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, shown: str
):
    call = {"type": "tool_use", "id": "c", "name": "ask", "input": given}
    reply = await ask(chat_client, messages=[*HELLO, {"role": "assistant", "content": [call]}, *HELLO])
    assert reply.status_code == 200
    assert last_chat(generator).messages[1].tool_calls == (ToolCall("c", "ask", shown),)


async def test_the_system_may_speak_later_too(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    later = {"role": "system", "content": [TEXT, TEXT]}
    await ask(chat_client, messages=[*HELLO, later], output_config={"effort": "high"})
    assert last_chat(generator).messages[1:] == (Message("system", (TextPart("Look.\nLook."),)),)
    assert json.loads(last_chat(generator).template_options) == {"reasoning_effort": "high"}


async def test_a_result_may_be_empty_and_alone(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    results = [{"type": "tool_result", "tool_use_id": "c1"}]
    await ask(chat_client, system="Be kind.", messages=[*HELLO, {"role": "user", "content": results}])
    assert last_chat(generator).messages == (
        Message("system", (TextPart("Be kind."),)),
        Message("user", (TextPart("one two three"),)),
        Message("tool", (), tool_call_id="c1"),
    )


async def test_an_image_may_be_at_an_address(connect: Connect, generator: MemoryQueue):
    class Web:
        async def fetch(self, url: str, *, param: str) -> bytes:
            return url.encode()

        async def check(self, data: bytes, *, param: str) -> None: ...

    url = "https://example.org/a.png"
    image = {"type": "image", "source": {"type": "url", "url": url}}
    reply = await ask(connect(generator, Web()), messages=[{"role": "user", "content": [image]}])
    assert reply.status_code == 200
    assert last_chat(generator).messages[0].content == (ImagePart(url.encode()),)


TEXT = {"type": "text", "text": "Look."}
CALL = {"type": "tool_use", "id": "c", "name": "ask", "input": {}}


def user(*blocks: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": blocks}]}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"messages": []}, "messages is empty"),
        ({"messages": [{"role": "tool", "content": "1"}]}, "messages[0].role"),
        ({"messages": [{"role": "system", "content": [IMAGE]}]}, "no image in a message of the system"),
        (user(CALL), "messages[0].content[0]: no tool_use"),
        (user({"type": "server_tool_use", "id": "s", "name": "web_search"}), "messages[0].content[0]"),
        (
            user({"type": "image", "source": {"type": "base64"}}),
            "messages[0].content[0].source.data is missing",
        ),
        (
            user({"type": "image", "source": {"type": "base64", "data": "http://10.0.0.1/"}}),
            "messages[0].content[0].source.data is not what its type says",
        ),
        (
            user({"type": "image", "source": {"type": "url", "url": OPAQUE_BASE64}}),
            "is not what its type says",
        ),
        (user({"type": "image", "source": {"type": "url", "url": "http://a/"}}), "fetches no images"),
        (
            {"messages": [{"role": "assistant", "content": [IMAGE]}, *HELLO]},
            "no image in a message of the assistant",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [{"name": "a b"}]}, "tools[0].name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool"}}, "tool_choice.name is missing"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any], told: str
):
    reply = await ask(chat_client, **fields)
    assert reply.status_code == 400
    body = reply.json()
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert told in body["error"]["message"]
    assert not generator.submitted


async def test_the_limit_must_be_said(chat_client: httpx.AsyncClient):
    reply = await chat_client.post("/v1/messages", json={"model": CHAT_MODEL.id, "messages": HELLO})
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "Missing field: max_tokens.")


async def test_tokens_are_counted_and_nothing_is_written(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    reply = await count(chat_client, system="Be kind.", tools=TOOLS, thinking={"type": "enabled"})
    assert reply.json() == {"input_tokens": 5}
    job = last_job(generator)
    assert (job.count_only, job.stream) == (True, False)
    chat = last_chat(generator)
    assert len(chat.messages) == len(chat.tools) == 2
    assert json.loads(chat.template_options) == {"enable_thinking": True}


@pytest.mark.parametrize("post", [ask, count])
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InputTooLong(), 400, "invalid_request_error"),
        (errors.UnknownModel(), 404, "not_found_error"),
        (errors.JobCanceled(), 409, "invalid_request_error"),
        (errors.Overloaded(retry_after_s=7), 429, "rate_limit_error"),
        (errors.InternalError(), 500, "api_error"),
        (errors.NoWorker(), 503, "overloaded_error"),
        (errors.TimeLimitExceeded(), 504, "timeout_error"),
    ],
    ids=lambda value: getattr(value, "code", None),
)
async def test_errors_are_in_anthropics_envelope(
    connect: Connect, post: Any, error: errors.JobError, status: int, kind: str
):
    for queue in (MemoryQueue(refusal=error), MemoryQueue(models=(CHAT_MODEL,), failure=error)):
        reply = await post(connect(queue))
        assert reply.status_code == status
        told = "prompt is too long: " * isinstance(error, errors.InputTooLong) + error.message
        assert reply.json() == {"type": "error", "error": {"type": kind, "message": told}}


async def test_a_body_that_is_too_large_has_its_own_type(connect: Connect, generator: MemoryQueue):
    reply = await ask(connect(generator, max_body_bytes=1024), system="x" * 2000)
    assert (reply.status_code, reply.json()["error"]["type"]) == (413, "request_too_large")


async def test_an_embedding_model_does_not_chat(chat_client: httpx.AsyncClient):
    reply = await ask(chat_client, model=MODEL.id)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
