"""Chat completions that come whole."""

from typing import Any

import httpx
import pytest

from api.replies.fingerprint import system_fingerprint
from jobs.embed import EmbedResult
from jobs.errors import InternalError, NoWorker, Overloaded
from jobs.generate import Choice, GenerateResult, ScoredToken, TokenLogprobs
from tests.support.chat_requests import CHAT, HELLO, chat
from tests.support.memory_generation import CHAT_MODEL, DIGEST, THOUGHT
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": name}} for name in ("look", "ask")]


async def test_a_reply_is_exactly_openais(chat_client: httpx.AsyncClient):
    response = await chat(chat_client, messages=[{"role": "system", "content": "Be brief."}, *HELLO])
    reply = response.json()
    assert response.headers["content-type"] == "application/json"
    assert reply.pop("id").startswith("chatcmpl-")
    assert reply.pop("created") > 1_700_000_000
    assert reply == {
        "object": "chat.completion",
        "model": CHAT_MODEL.id,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "one two three", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 3,
            "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 2},
        },
        "system_fingerprint": system_fingerprint(DIGEST),
    }


async def test_the_replys_id_holds_the_jobs(chat_client: httpx.AsyncClient):
    job_id = (await chat(chat_client)).json()["id"].removeprefix("chatcmpl-")
    assert (await chat_client.get(f"/v1/jobs/{job_id}")).json()["task"] == "generate"


async def test_every_answer_is_a_choice_but_the_prompt_counts_once(chat_client: httpx.AsyncClient):
    reply = (await chat(chat_client, n=3)).json()
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) == (3, 9)


@pytest.mark.parametrize(
    ("fields", "content", "reason"),
    [({"max_tokens": 2}, "one two", "length"), ({"stop": [" th", "x"]}, "one two", "stop")],
)
async def test_an_answer_says_why_it_ended(
    chat_client: httpx.AsyncClient, fields: dict[str, Any], content: str, reason: str
):
    [choice] = (await chat(chat_client, **fields)).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (content, reason)


async def test_reasoning_is_beside_the_answer(chat_client: httpx.AsyncClient):
    [choice] = (await chat(chat_client, enable_thinking=True)).json()["choices"]
    assert choice["message"]["reasoning_content"] == THOUGHT
    assert choice["message"]["content"] == "one two three"


async def test_calls_come_instead_of_content(chat_client: httpx.AsyncClient):
    [choice] = (await chat(chat_client, tools=TOOLS, tool_choice="required")).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "call_0", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            {"id": "call_1", "type": "function", "function": {"name": "ask", "arguments": "{}"}},
        ],
    }


async def test_logprobs_tell_each_token_and_what_else_it_might_have_been(chat_client: httpx.AsyncClient):
    reply = (
        await chat(chat_client, messages=[{"role": "user", "content": "né"}], logprobs=True, top_logprobs=2)
    ).json()
    chosen = {"token": "né", "logprob": -0.5, "bytes": [110, 195, 169]}
    other = {"token": "né?", "logprob": -1.5, "bytes": [110, 195, 169, 63]}
    assert reply["choices"][0]["logprobs"] == {
        "content": [{**chosen, "top_logprobs": [chosen, other]}],
        "refusal": None,
    }


async def test_a_token_that_cannot_be_has_a_number_that_json_can_hold(connect: Connect):
    never = TokenLogprobs(ScoredToken("", b"\xf0", float("-inf")))
    choice = Choice(text="", finish_reason="stop", tokens=1, logprobs=(never,))

    class Certain(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return GenerateResult(choices=(choice,), prompt_tokens=1)

    reply = (await chat(connect(Certain(models=(CHAT_MODEL,))), logprobs=True)).json()
    [token] = reply["choices"][0]["logprobs"]["content"]
    assert token == {"token": "", "logprob": -9999.0, "bytes": [240], "top_logprobs": []}


async def test_a_result_of_the_other_task_is_an_internal_error(connect: Connect):
    class Confused(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return EmbedResult(1, b"\0" * 4, (1,))

    reply = await chat(connect(Confused(models=(CHAT_MODEL,))))
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")


async def test_an_embedding_request_is_not_answered_with_text(connect: Connect):
    class Confused(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return GenerateResult(choices=(), prompt_tokens=1)

    reply = await connect(Confused()).post("/v1/embeddings", json={"model": MODEL.id, "input": "a"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")


async def test_a_prompt_over_the_context_is_refused(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, messages=[{"role": "user", "content": "word " * 5000}])
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("error", "status"),
    [(Overloaded(), 429), (NoWorker(), 503), (InternalError(), 500)],
    ids=lambda value: str(value),
)
async def test_a_fault_of_the_service_has_its_status(connect: Connect, error: Any, status: int):
    assert (await chat(connect(MemoryQueue(models=(CHAT_MODEL,), refusal=error)))).status_code == status


async def test_a_chat_may_become_a_job(connect: Connect):
    queue = MemoryQueue(models=(CHAT_MODEL,), held=True)
    client = connect(queue)
    reply = await client.post("/v1/chat/completions", json=CHAT, headers={"Prefer": "respond-async"})
    assert reply.status_code == 202
    assert (reply.json()["status"], reply.json()["task"]) == ("queued", "generate")
    queue.release()
    result = (await client.get(reply.headers["location"])).json()["result"]
    assert result["object"] == "chat.completion"
    assert result["id"] == f"chatcmpl-{reply.json()['id']}"
    assert result["choices"][0]["message"]["content"] == "one two three"


async def test_the_same_idempotency_key_gets_the_same_answer(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    headers = {"Idempotency-Key": "k"}
    replies = [await chat_client.post("/v1/chat/completions", json=CHAT, headers=headers) for _ in range(2)]
    assert replies[0].json()["id"] == replies[1].json()["id"]
    assert len(generator.submitted) == 1


async def test_an_answer_that_takes_too_long_is_answered_504_and_canceled(connect: Connect):
    queue = MemoryQueue(models=(CHAT_MODEL,), held=True)
    assert (await chat(connect(queue, wait_s=0.01))).status_code == 504
    assert len(queue.canceled) == 1
