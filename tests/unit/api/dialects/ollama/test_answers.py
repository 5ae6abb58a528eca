"""Ollama's replies to /api/chat and /api/generate, whole and as lines."""

import json
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.dialects.dialect import Context
from api.dialects.mlxq.job_reply import accepted_response
from api.dialects.ollama.routes import Ollama
from api.requests.body import BodiesInFlight
from jobs import errors
from jobs.generate import Choice, GenerateResult, Piece, Pieces, ToolCall
from jobs.job import Job, SubmitOptions
from jobs.settings import Settings
from tests.support.chat_requests import HELLO, Caller, ScriptedQueue, stream_body
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.conftest import Connect
from tests.unit.api.dialects.ollama.requests import TOOLS, chat, generate, lines

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


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


@pytest.mark.parametrize("stream", [False, True])
async def test_the_whole_takes_as_long_as_the_caller_waited_in_nanoseconds(stream: bool):
    now_ns = 1_000

    class Slow(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            nonlocal now_ns
            now_ns += 7
            return await super().wait(job_id, timeout_s)

        async def stream(self, job_id: str, after: int = 0):
            nonlocal now_ns
            now_ns += 7
            async for event in super().stream(job_id, after):
                yield event

    app = FastAPI()
    context = Context(
        Slow(models=(CHAT_MODEL,)), Settings(), None, accepted_response, BodiesInFlight(1 << 20)
    )
    Ollama(context, clock_ns=lambda: now_ns).add_routes(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq") as client:
        *_, last = (await chat(client, stream=stream)).text.splitlines()

    assert json.loads(last)["total_duration"] == 7


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
        async def submit(self, job: Job, options: SubmitOptions):
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
