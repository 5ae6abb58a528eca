"""Ollama's /api/chat and /api/generate, whole and as lines."""

import asyncio
import base64
import json
import math
import re
import time
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from api.dialects.ollama.open_calls import OpenCalls
from jobs import errors
from jobs.answer_format import JsonFormat
from jobs.content import ImagePart, TextPart
from jobs.generate import Choice, GenerateJob, GenerateResult, Message, Piece, Pieces, Prompt, ToolCall
from tests.support.chat_requests import HELLO, Caller, ScriptedQueue, last_chat, last_job, stream_body
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

IMAGE = b"not decoded here"
ENCODED = base64.b64encode(IMAGE).decode()
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object"}}}
    for name in ("look_up", "ask")
]
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


async def chat(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/api/chat", json={"model": CHAT_MODEL.id, "messages": HELLO, **fields})


async def generate(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/api/generate", json={"model": CHAT_MODEL.id, "prompt": "one two", **fields})


def lines(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.text.endswith("\n")
    return [json.loads(line) for line in reply.text.splitlines()]


async def test_a_chat_is_answered_whole(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, stream=False)
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert TIMESTAMP.fullmatch(body.pop("created_at"))
    assert body.pop("total_duration") >= body.pop("eval_duration") > 0
    assert body == {
        "model": CHAT_MODEL.id,
        "message": {"role": "assistant", "content": "one two three"},
        "done": True,
        "done_reason": "stop",
        "load_duration": 0,
        "prompt_eval_count": 3,
        "prompt_eval_duration": 0,
        "eval_count": 3,
    }


async def test_a_chat_is_streamed_unless_said_otherwise(chat_client: httpx.AsyncClient):
    *grown, last = lines(await chat(chat_client))
    assert [line["message"] for line in grown] == [
        {"role": "assistant", "content": text} for text in ("one", " two", " three")
    ]
    assert {line["done"] for line in grown} == {False}
    assert all(TIMESTAMP.fullmatch(line["created_at"]) for line in (*grown, last))
    assert last["message"] == {"role": "assistant", "content": ""}
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert (last["prompt_eval_count"], last["eval_count"]) == (3, 3)
    assert last["total_duration"] == last["prompt_eval_duration"] + last["eval_duration"]


async def test_a_prompt_is_streamed_or_answered_whole(chat_client: httpx.AsyncClient):
    *grown, last = lines(await generate(chat_client))
    assert [line["response"] for line in grown] == ["one", " two"]
    assert (last["response"], last["done_reason"]) == ("", "stop")
    body = (await generate(chat_client, stream=False)).json()
    assert (body["response"], body["done"]) == ("one two", True)
    assert "message" not in body


async def test_probabilities_come_with_their_tokens(chat_client: httpx.AsyncClient):
    first, *_ = lines(await chat(chat_client, logprobs=True, top_logprobs=1))
    chance = {"token": "one", "logprob": -0.5, "bytes": list(b"one")}
    assert first["logprobs"] == [{**chance, "top_logprobs": [chance]}]
    whole = (await generate(chat_client, logprobs=True, stream=False)).json()
    assert [each["token"] for each in whole["logprobs"]] == ["one", " two"]
    assert whole["logprobs"][0]["top_logprobs"] == []


async def test_the_workers_own_times_are_told(connect: Connect):
    class Timed(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return GenerateResult((Choice("a", "length", 1),), 1, load_s=2, prompt_s=0.5, generate_s=0.25)

    body = (await chat(connect(Timed(models=(CHAT_MODEL,))), stream=False)).json()
    found = (body["load_duration"], body["prompt_eval_duration"], body["eval_duration"])
    assert found == (2_000_000_000, 500_000_000, 250_000_000)
    assert body["done_reason"] == "length"


async def test_the_whole_takes_as_long_as_the_caller_waited_in_nanoseconds(connect: Connect):
    wait_s = 0.05

    class Slow(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            await asyncio.sleep(wait_s)
            return await super().wait(job_id, timeout_s)

        async def stream(self, job_id: str, after: int = 0):
            async for event in super().stream(job_id, after):
                await asyncio.sleep(wait_s / 2)
                yield event

    client = connect(Slow(models=(CHAT_MODEL,)))
    for stream in (False, True):
        started_ns = time.monotonic_ns()
        *_, last = (await chat(client, stream=stream)).text.splitlines()
        waited_ns = time.monotonic_ns() - started_ns
        assert wait_s * 1e9 <= json.loads(last)["total_duration"] <= waited_ns


async def test_a_single_tokens_time_is_not_said_to_be_none(connect: Connect):
    class Brief(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return GenerateResult((Choice("a", "length", 1),), 1, prompt_s=0.5, generate_s=0.0)

    body = (await chat(connect(Brief(models=(CHAT_MODEL,))), stream=False)).json()
    assert (body["prompt_eval_duration"], body["eval_duration"]) == (500_000_000, 1)


async def test_thinking_is_told_apart(chat_client: httpx.AsyncClient):
    body = (await chat(chat_client, think=True, stream=False)).json()
    assert body["message"] == {"role": "assistant", "content": "one two three", "thinking": THOUGHT}
    first, *_ = lines(await chat(chat_client, think="high"))
    assert first["message"] == {"role": "assistant", "content": "", "thinking": THOUGHT}
    first, *_ = lines(await generate(chat_client, think=True))
    assert (first["response"], first["thinking"]) == ("", THOUGHT)


@pytest.mark.parametrize(
    ("arguments", "told"), [('{"q": "é"}', {"q": "é"}), ("not json", {"arguments": "not json"})]
)
async def test_a_call_has_its_arguments_as_an_object(connect: Connect, arguments: str, told: object):
    call = ToolCall("call_1", "ask", arguments)

    class Calling(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return GenerateResult((Choice("", "tool_calls", 1, tool_calls=(call,)),), 1)

        async def stream(self, job_id: str, after: int = 0):
            yield 1, Pieces(1, 0, (Piece(tokens=(1,), tool_calls=(call,), finish_reason="tool_calls"),))

    client = connect(Calling(models=(CHAT_MODEL,)))
    called = [{"id": "call_1", "function": {"name": "ask", "arguments": told}}]
    whole = (await chat(client, tools=TOOLS, stream=False)).json()
    assert whole["message"] == {"role": "assistant", "content": "", "tool_calls": called}
    assert whole["done_reason"] == "stop"
    first, last = lines(await chat(client, tools=TOOLS))
    assert first["message"]["tool_calls"] == called
    assert last["done_reason"] == "stop"


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
            {"role": "user", "content": "What?", "images": [ENCODED]},
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
        Message("user", (ImagePart(IMAGE), TextPart("What?"))),
        Message("assistant", reasoning="Hm.", tool_calls=(look_up, ask)),
        Message("tool", (TextPart("2"),), tool_call_id=ask.id, name="ask"),
        Message("tool", (TextPart("1"),), tool_call_id=look_up.id, name="look_up"),
        Message("user", (TextPart("Thanks."),)),
    )


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
    await generate(chat_client, system="Be kind.", images=[ENCODED])
    assert last_chat(generator).messages == (
        Message("system", (TextPart("Be kind."),)),
        Message("user", (ImagePart(IMAGE), TextPart("one two"))),
    )


async def test_a_raw_prompt_is_read_as_it_is(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    await generate(chat_client, raw=True, images=[ENCODED])
    assert last_job(generator).prompt == Prompt("one two", images=(IMAGE,))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"template": "{{ .Prompt }}"}, "template"),
        ({"context": [1, 2]}, "context"),
        ({"raw": True, "system": "Be kind."}, "system"),
        ({"format": "xml"}, "format"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"think": "a lot"}, "think"),
        ({"images": ["?"]}, "images[0]"),
        ({"options": {"temperature": 3}}, "options.temperature"),
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


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize(
    ("keep_alive", "reason", "seconds"),
    [(None, "load", None), ("10m", "load", 600), (0, "unload", 0), ("0", "unload", 0)],
)
async def test_a_request_without_a_prompt_loads_or_unloads(
    chat_client: httpx.AsyncClient,
    generator: MemoryQueue,
    path: str,
    keep_alive: object,
    reason: str,
    seconds: float | None,
):
    reply = await chat_client.post(path, json={"model": CHAT_MODEL.id, "keep_alive": keep_alive})
    body = reply.json()
    assert (body["done"], body["done_reason"]) == (True, reason)
    job = last_job(generator)
    assert (job.count_only, job.keep_alive_s, job.stream) == (True, seconds, False)


async def test_a_model_that_is_not_in_memory_is_not_loaded_to_be_unloaded(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    generator.loaded = {}
    reply = await chat_client.post("/api/generate", json={"model": CHAT_MODEL.id, "keep_alive": 0})
    assert reply.json()["done_reason"] == "unload"
    assert not generator.submitted
    reply = await chat_client.post("/api/generate", json={"model": "unheard-of", "keep_alive": 0})
    assert reply.status_code == 404


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("org/model", "org/model"),
        ("org/model:latest", "org/model"),
        ("org/other:latest", "org/other:latest"),
    ],
)
async def test_a_models_latest_tag_may_be_said_or_not(connect: Connect, name: str, meant: str):
    infos = [
        msgspec.structs.replace(CHAT_MODEL, id="org/model"),
        msgspec.structs.replace(CHAT_MODEL, id="org/other:latest"),
    ]
    queue = MemoryQueue(models=tuple(infos))
    body = (await chat(connect(queue), model=name, stream=False)).json()
    assert body["model"] == name
    assert last_job(queue).model == meant


async def test_an_unknown_model_is_404_in_ollamas_envelope(chat_client: httpx.AsyncClient):
    for stream in (True, False):
        reply = await chat(chat_client, model="none:latest", stream=stream)
        assert reply.status_code == 404
        assert "none:latest" in reply.json()["error"]


async def test_an_embedding_model_does_not_chat(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, model=MODEL.id)
    assert reply.status_code == 400
    assert MODEL.id in reply.json()["error"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InputTooLong(), 400),
        (errors.Overloaded(retry_after_s=7), 429),
        (errors.NoWorker(), 503),
        (errors.InternalError(), 500),
    ],
)
async def test_errors_are_texts_with_the_same_status_as_elsewhere(
    connect: Connect, error: errors.JobError, status: int
):
    reply = await chat(connect(MemoryQueue(refusal=error)))
    assert (reply.status_code, reply.json()) == (status, {"error": error.message})
    elsewhere = await connect(MemoryQueue(refusal=error)).get("/v1/models")
    assert elsewhere.status_code == status
    assert elsewhere.json()["error"]["code"] == error.code
    assert elsewhere.headers.get("retry-after") == reply.headers.get("retry-after")


async def test_an_unforeseen_error_is_not_shown(connect: Connect, caplog: pytest.LogCaptureFixture):
    class Broken(MemoryQueue):
        async def models(self):
            raise ZeroDivisionError("the inner workings")

    reply = await chat(connect(Broken()))
    assert (reply.status_code, reply.json()) == (500, {"error": errors.InternalError().message})
    assert "ZeroDivisionError" in caplog.text


STREAM = {"model": CHAT_MODEL.id, "messages": HELLO}


async def streamed(script: ScriptedQueue, app: FastAPI, *items: Pieces | Exception | None) -> list[Any]:
    body = await stream_body(script, app, "/api/chat", STREAM, *items)
    return [json.loads(line) for line in body.splitlines()]


async def test_an_error_on_the_way_is_the_last_line(script: ScriptedQueue, app: FastAPI):
    first = Pieces(1, 0, (Piece(text="a", tokens=(1,)),))
    grown, last = await streamed(script, app, first, errors.TimeLimitExceeded())
    assert grown["message"]["content"] == "a"
    assert last == {"error": errors.TimeLimitExceeded().message}


async def test_withheld_tokens_count_though_they_have_no_line(script: ScriptedQueue, app: FastAPI):
    withheld = Pieces(4, 1, (Piece(tokens=(1, 2)),))
    end = Pieces(4, 1, (Piece(text="a", tokens=(3,), finish_reason="length"),))
    grown, last = await streamed(script, app, withheld, end, None)
    assert grown["message"]["content"] == "a"
    assert (last["eval_count"], last["prompt_eval_count"], last["done_reason"]) == (3, 4, "length")


async def test_the_last_line_tells_how_long_the_request_waited_for_its_model(
    script: ScriptedQueue, app: FastAPI
):
    def end(load_s: float) -> Pieces:
        return Pieces(4, 1, (Piece(text="a", tokens=(3,), finish_reason="length"),), load_s)

    _, last = await streamed(script, app, end(0.000_001), None)
    assert last["load_duration"] == 1000
    assert last["prompt_eval_duration"] + last["eval_duration"] + 1000 == last["total_duration"]
    _, other = await streamed(script, app, end(0.0), None)
    assert other["load_duration"] == 0


async def test_a_caller_who_disconnects_takes_its_job_with_it(script: ScriptedQueue, app: FastAPI):
    caller = Caller(app, "POST", "/api/chat", STREAM)
    script.script.put_nowait(Pieces(1, 0, (Piece(text="a", tokens=(1,)),)))
    await caller.message()
    caller.disconnect()
    await caller.ended()
    assert len(script.canceled) == 1
