"""What Ollama's bodies become: jobs, or errors that name the field."""

import math
from typing import Any

import httpx
import msgspec
import pytest

from api.dialects.ollama.messages import OpenCalls
from jobs.answer_format import JsonFormat
from jobs.content import ImagePart, TextPart
from jobs.generate import GenerateJob, Message, Prompt, ToolCall
from tests.support.chat_requests import HELLO, last_chat, last_job
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.dialects.ollama.requests import TOOLS, chat, generate, lines


async def test_a_chats_request_becomes_a_job(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    await chat(
        chat_client,
        tools=TOOLS,
        format="json",
        keep_alive="5m",
        options={"num_predict": 5, "stop": ["END"], "num_ctx": 4096, "num_gpu": 1, "temperature": 0},
    )
    job = last_job(generator)
    assert (job.max_tokens, job.stop, job.keep_alive_s, job.format) == (
        5,
        ("END",),
        300,
        JsonFormat(param="format"),
    )
    assert (job.stream, job.sampling.temperature) == (True, 0)
    tools = last_chat(generator).tools
    assert [(tool.name, tool.description, tool.parameters) for tool in tools] == [
        (name, "d", '{"type":"object"}') for name in ("look_up", "ask")
    ]


async def test_a_model_to_be_kept_for_ever_is(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    await chat(chat_client, keep_alive=-1)
    job = last_job(generator)
    assert job.keep_alive_s == math.inf
    packed = msgspec.msgpack.encode(job)
    assert msgspec.msgpack.decode(packed, type=GenerateJob) == job


async def test_messages_keep_what_they_hold(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    calls = [{"function": {"name": name, "arguments": {"q": 1}}} for name in ("look_up", "ask")]
    await chat(
        chat_client,
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "What?", "images": [OPAQUE_BASE64]},
            {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": calls},
            {"role": "tool", "content": "2", "tool_name": "ask"},
            {"role": "tool", "content": "1", "tool_name": "look_up"},
            {"role": "user", "content": "Thanks."},
        ],
    )
    found = last_chat(generator).messages
    look_up, ask = (ToolCall(f"call_2_{n}", name, '{"q":1}') for n, name in enumerate(("look_up", "ask")))
    assert found == (
        Message("system", (TextPart("Be kind."),)),
        Message("user", (ImagePart(OPAQUE), TextPart("What?"))),
        Message("assistant", reasoning="Hm.", tool_calls=(look_up, ask)),
        Message("tool", (TextPart("2"),), tool_call_id=ask.id, name="ask"),
        Message("tool", (TextPart("1"),), tool_call_id=look_up.id, name="look_up"),
        Message("user", (TextPart("Thanks."),)),
    )


@pytest.mark.parametrize(
    ("given", "shown"), [('{"q": 1', '{"q": 1'), ([1], "[1]"), (None, "{}"), ({"q": 1}, '{"q":1}')]
)
async def test_what_a_model_has_called_is_shown_as_it_is(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, shown: str
):
    turn = {"role": "assistant", "tool_calls": [{"function": {"name": "ask", "arguments": given}}]}
    assert (await chat(chat_client, messages=[turn, *HELLO])).status_code == 200
    assert last_chat(generator).messages[0].tool_calls[0].arguments == shown


async def test_results_without_names_answer_calls_in_order(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    calls = [{"id": key, "function": {"name": "ask"}} for key in ("a", "b")]
    results = [{"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]
    asked = [*HELLO, {"role": "assistant", "tool_calls": calls}, *results]
    await chat(chat_client, messages=asked)
    assert [each.tool_call_id for each in last_chat(generator).messages[2:]] == ["a", "b"]


async def test_a_result_with_an_id_leaves_the_other_calls_open(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    names = ("ask", "tell", "ask", "ask", "tell")
    calls = [{"id": key, "function": {"name": name}} for key, name in zip("abcac", names, strict=True)]
    results: list[dict[str, str]] = [
        {"tool_call_id": "a"},  # answers both that bear this id
        {"tool_name": "ask"},
        {"tool_name": "ask"},
        {},
        {},
        {"tool_call_id": "z"},
        {},
    ]
    asked = [
        *HELLO,
        {"role": "assistant", "tool_calls": calls},
        *({"role": "tool", "content": "1", **each} for each in results),
    ]
    await chat(chat_client, messages=asked)
    found = [each.tool_call_id for each in last_chat(generator).messages[2:]]
    assert found == ["a", "c", None, "b", "c", "z", None]


def test_many_calls_are_not_compared_with_each_result():
    compared = 0

    class Text(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    open_calls, count = OpenCalls(), 1000
    for n in range(count):
        open_calls.add(ToolCall(Text(f"c{n}"), Text("ask"), "{}"))
    for n in range(count - 1, 1, -1):
        assert open_calls.answer_first("other") is None
        open_calls.answer(f"c{n}")
    assert [open_calls.answer_first("ask") for _ in range(3)] == ["c0", "c1", None]
    assert compared < 10 * count


async def test_a_prompt_becomes_a_chat(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    await generate(chat_client, system="Be kind.", images=[OPAQUE_BASE64])
    assert last_chat(generator).messages == (
        Message("system", (TextPart("Be kind."),)),
        Message("user", (ImagePart(OPAQUE), TextPart("one two"))),
    )


async def test_a_raw_prompt_is_read_as_it_is(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    await generate(chat_client, raw=True, images=[OPAQUE_BASE64])
    assert last_job(generator).prompt == Prompt("one two", images=(OPAQUE,))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "end", "raw": True}, "suffix"),
        ({"suffix": "end", "images": ["aGk="]}, "suffix"),
        ({"template": "{{ .Prompt }}"}, "template"),
        ({"context": [1, 2]}, "context"),
        ({"raw": True, "system": "Be kind."}, "system"),
        ({"format": "xml"}, "format"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"think": "a lot"}, "think"),
        ({"images": ["?"]}, "images[0]"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"stop": [""]}}, "options.stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any], param: str
):
    reply = await generate(chat_client, **fields)
    assert reply.status_code == 400
    assert set(reply.json()) == {"error"}
    assert reply.json()["error"].startswith(param)
    assert not generator.submitted


async def test_empty_fields_of_old_clients_are_no_reason_to_refuse(chat_client: httpx.AsyncClient):
    reply = await generate(chat_client, suffix="", template="", context=None, system="", format="", images=[])
    assert lines(reply)[-1]["done"]


async def test_only_an_assistant_calls_tools(chat_client: httpx.AsyncClient):
    calls = [{"function": {"name": "ask"}}]
    reply = await chat(chat_client, messages=[{"role": "user", "content": "", "tool_calls": calls}])
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("messages[0].tool_calls")


BESIDE: dict[str, Any] = {
    "temperature": 0.1,
    "top_p": 0.2,
    "presence_penalty": 0.3,
    "frequency_penalty": 0.4,
    "stop": ["END"],
}


@pytest.mark.parametrize("limit", ["max_tokens", "max_output_tokens"])
@pytest.mark.parametrize("ask", [chat, generate])
async def test_what_the_ai_sdk_writes_beside_the_options_is_heeded(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, ask: Any, limit: str
):
    assert (await ask(chat_client, **BESIDE, **{limit: 7})).status_code == 200
    beside = last_job(generator)
    assert (await ask(chat_client, options={**BESIDE, "num_predict": 7})).status_code == 200
    assert beside == last_job(generator)
    assert (beside.max_tokens, beside.stop, beside.sampling.temperature) == (7, ("END",), 0.1)


async def test_the_options_come_before_what_is_beside_them(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    await chat(chat_client, temperature=0.9, max_tokens=9, options={"temperature": 0, "num_predict": 5})
    assert (last_job(generator).sampling.temperature, last_job(generator).max_tokens) == (0, 5)


@pytest.mark.parametrize(
    ("given", "choice", "name"),
    [
        (None, "auto", None),
        ("none", "none", None),
        ("required", "required", None),
        ({"type": "function", "function": {"name": "ask"}}, "required", "ask"),
        ({"type": "function", "name": "ask"}, "required", "ask"),
    ],
)
async def test_a_tool_choice_is_heeded(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, choice: str, name: str | None
):
    assert (await chat(chat_client, tools=TOOLS, tool_choice=given)).status_code == 200
    assert (last_chat(generator).tool_choice, last_chat(generator).tool_name) == (choice, name)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "none"}}},
        {"tools": TOOLS, "tool_choice": "any"},
        {"tools": TOOLS, "tool_choice": {"type": "function"}},
    ],
)
async def test_a_tool_choice_that_fits_no_tool_is_refused(
    chat_client: httpx.AsyncClient, fields: dict[str, Any]
):
    reply = await chat(chat_client, **fields)
    assert (reply.status_code, "tool_choice" in reply.json()["error"]) == (400, True)
