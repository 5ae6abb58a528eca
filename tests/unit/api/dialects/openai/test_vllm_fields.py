"""vLLM's fields of chats and completions: what they become, and what is refused by name."""

import json
from typing import Any

import httpx
import pytest

from jobs.generate import Chat, GenerateJob, Prompt, Sampling
from tests.support.chat_requests import last_chat, last_job
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

ASKED = {"role": "user", "content": "a"}
BEGUN = [ASKED, {"role": "assistant", "content": "It is"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [ASKED]},
    "/v1/completions": {"prompt": "a"},
}


async def post(client: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    return await client.post(path, json={"model": CHAT_MODEL.id, **BODIES[path], **fields})


@pytest.fixture(params=BODIES)
def path(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_tokens_are_ruled_out_and_end_answers(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, path: str
):
    reply = await post(
        chat_client, path, ignore_eos=True, min_tokens=3, stop_token_ids=[5, 6], allowed_token_ids=[5, 6, 7]
    )
    assert reply.status_code == 200, reply.text
    assert last_job(generator).sampling == Sampling(
        ignore_ends=True, min_tokens=3, stop_ids=(5, 6), allowed_ids=(5, 6, 7)
    )


async def test_what_asks_for_nothing_changes_nothing(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, path: str
):
    await post(chat_client, path)
    plain = last_job(generator)
    asks_nothing: dict[str, Any] = {
        "ignore_eos": False, "min_tokens": 0, "stop_token_ids": [], "allowed_token_ids": None, "use_beam_search": False,
        "length_penalty": 1.0, "bad_words": [], "include_stop_str_in_output": False, "logprob_token_ids": None,
        "thinking_token_budget": -1, "repetition_detection": None, "watermarking": False, "vllm_xargs": {},
        "routed_experts_prompt_start": 0, "priority": 0, "cache_salt": None, "request_id": "r", "session_id": "s",
        "stream_interval": 3, "spaces_between_special_tokens": True, "truncation_side": "left", "prompt_embeds": None,
        "return_token_offsets": False, "return_mm_kwargs": True, "mm_processor_kwargs": None, "media_io_kwargs": {},
        "kv_transfer_params": None, "ec_transfer_params": None, "return_tokens_as_token_ids": False,
    }  # fmt: skip
    reply = await post(chat_client, path, **asks_nothing)
    assert reply.status_code == 200, reply.text
    assert last_job(generator) == plain


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("use_beam_search", True),
        ("length_penalty", 0.5),
        ("bad_words", ["no"]),
        ("include_stop_str_in_output", True),
        ("logprob_token_ids", [1]),
        ("return_tokens_as_token_ids", True),
        ("thinking_token_budget", 5),
        ("repetition_detection", {"max_pattern_size": 3}),
        ("watermarking", True),
        ("prompt_embeds", "AAAA"),
        ("kv_transfer_params", {"a": 1}),
        ("ec_transfer_params", {"a": 1}),
        ("vllm_xargs", {"a": 1}),
        ("routed_experts_prompt_start", 2),
        ("mm_processor_kwargs", {"a": 1}),
        ("media_io_kwargs", {"image": {}}),
        ("cache_salt", "x"),
        ("priority", -1),
        ("allowed_token_ids", []),
        ("allowed_token_ids", [-1]),
        ("stop_token_ids", ["a"]),
        ("min_tokens", -1),
    ],
)
async def test_what_is_not_built_is_refused_by_name(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, path: str, field: str, value: Any
):
    reply = await post(chat_client, path, **{field: value})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)
    assert not generator.submitted


@pytest.mark.parametrize("fields", [{"min_tokens": 5, "max_tokens": 4}, {"min_tokens": 2, "stop": "x"}])
async def test_a_least_length_that_cannot_be_is_refused(
    chat_client: httpx.AsyncClient, path: str, fields: dict[str, Any]
):
    reply = await post(chat_client, path, **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "min_tokens")


async def test_a_chat_may_go_on_with_its_last_message(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    path = "/v1/chat/completions"
    reply = await post(
        chat_client, path, messages=BEGUN, continue_final_message=True, add_generation_prompt=False
    )
    assert reply.status_code == 200, reply.text
    found = last_chat(generator)
    assert (found.continue_final, found.generation_prompt, found.special_tokens) == (True, False, False)
    await post(chat_client, path, add_special_tokens=True, documents=[{"title": "t", "text": "x"}])
    assert last_chat(generator) == Chat(
        last_chat(generator).messages,
        special_tokens=True,
        template_options='{"documents":[{"title":"t","text":"x"}]}',
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": BEGUN, "continue_final_message": True, "add_generation_prompt": True},
         "continue_final_message"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"chat_template": "{{ messages }}"}, "chat_template"),
        ({"echo": True}, "echo"),
        ({"include_reasoning": False}, "include_reasoning"),
        ({"return_prompt_text": True}, "return_prompt_text"),
    ],
)  # fmt: skip
async def test_fields_of_chats_are_refused_by_name(
    chat_client: httpx.AsyncClient, fields: dict[str, Any], param: str
):
    reply = await post(chat_client, "/v1/chat/completions", **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_a_prompt_may_be_read_without_special_tokens(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    await post(chat_client, "/v1/completions", add_special_tokens=False)
    assert last_job(generator).prompt == Prompt("a", special_tokens=False)
    await post(chat_client, "/v1/completions", add_special_tokens=None)
    assert last_job(generator).prompt == Prompt("a")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        *BODIES.items(),
        ("/chat/completions", BODIES["/v1/chat/completions"]),
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/jobs", {"task": "embed", "input": "a"}),
        ("/v1/jobs", {"task": "generate", "prompt": "a"}),
        ("/v1/jobs", {"task": "generate", "messages": [ASKED]}),
    ],
)
async def test_the_model_need_not_be_named_where_one_does_it(
    connect: Connect, generator: MemoryQueue, route: str, body: dict[str, Any]
):
    reply = await connect(generator).post(route, json=body)
    assert reply.status_code in (200, 202), reply.text
    job = generator.submitted[-1][0]
    assert job.model == (CHAT_MODEL.id if isinstance(job, GenerateJob) else MODEL.id)
    assert reply.json()["model"] == job.model
    nobody = await connect(MemoryQueue(models=())).post(route, json=body)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (503, "no_worker")


CHANCE = {"logprob": -0.5, "rank": 3, "decoded_token": " two"}
BETTER = {"1002": {"logprob": -0.25, "rank": 1, "decoded_token": " two!!"}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "one two"}]}),
        ("/v1/completions", {"prompt": "one two", "logprobs": 0}),
    ],
)
async def test_the_prompts_tokens_are_told_with_their_probabilities(
    chat_client: httpx.AsyncClient, path: str, body: dict[str, Any]
):
    asked = {"model": CHAT_MODEL.id, **body, "prompt_logprobs": 1}
    reply = (await chat_client.post(path, json=asked)).json()
    told = reply if "chat" in path else reply["choices"][0]
    assert told["prompt_logprobs"] == [None, {**BETTER, "4": CHANCE}]
    if "prompt" in body:
        assert reply["choices"][0]["logprobs"]["tokens"] == ["one", " two"]
    plain = (await chat_client.post(path, json={"model": CHAT_MODEL.id, **body})).json()
    assert "prompt_logprobs" not in plain
    assert "prompt_logprobs" not in plain["choices"][0]
    streamed = await chat_client.post(path, json={**asked, "stream": True})
    assert (streamed.status_code, streamed.json()["error"]["param"]) == (400, "prompt_logprobs")
    for wrong in (-1, 21, "a"):
        refused = await chat_client.post(path, json={**asked, "prompt_logprobs": wrong})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prompt_logprobs")


async def test_probabilities_of_an_echoed_prompt_are_told_once(chat_client: httpx.AsyncClient):
    reply = await post(chat_client, "/v1/completions", echo=True, logprobs=1, prompt_logprobs=1)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "prompt_logprobs")


async def test_ids_of_tokens_are_told(chat_client: httpx.AsyncClient):
    chat = (await post(chat_client, "/v1/chat/completions", return_token_ids=True)).json()
    assert (chat["prompt_token_ids"], chat["choices"][0]["token_ids"]) == ([1], [1])
    [choice] = (await post(chat_client, "/v1/completions", prompt="one two", return_token_ids=True)).json()[
        "choices"
    ]
    assert (choice["prompt_token_ids"], choice["token_ids"]) == ([3, 3], [3, 4])
    plain = (await post(chat_client, "/v1/chat/completions")).json()
    assert "prompt_token_ids" not in plain
    assert "token_ids" not in plain["choices"][0]


async def chunks(client: httpx.AsyncClient, path: str, **fields: Any) -> list[dict[str, Any]]:
    reply = await post(client, path, stream=True, **fields)
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


async def test_ids_of_tokens_are_told_in_a_streams_chunks(chat_client: httpx.AsyncClient):
    said = {"messages": [{"role": "user", "content": "one two"}]}
    found = await chunks(chat_client, "/v1/chat/completions", return_token_ids=True, n=2, **said)
    assert [each["prompt_token_ids"] for each in found if "prompt_token_ids" in each] == [[3, 3]]
    assert "prompt_token_ids" in found[0]
    for choice in range(2):
        own = [each["choices"][0] for each in found if each["choices"][0]["index"] == choice]
        assert [token for each in own for token in each.get("token_ids", ())] == [3, 4]
    prompts = ["one two", "red"]
    text = await chunks(chat_client, "/v1/completions", return_token_ids=True, prompt=prompts)
    begun = {
        each["choices"][0]["index"]: each["choices"][0]["prompt_token_ids"]
        for each in text
        if "prompt_token_ids" in each["choices"][0]
    }
    assert begun == {0: [3, 3], 1: [3]}
    assert not any("token_ids" in str(each) for each in await chunks(chat_client, "/v1/completions"))


async def test_each_chunk_tells_the_tokens_used_if_asked(chat_client: httpx.AsyncClient, path: str):
    more = {"prompt": "one two"} if "prompt" in BODIES[path] else {}
    options = {"include_usage": True, "continuous_usage_stats": True}
    found = await chunks(chat_client, path, stream_options=options, **more)
    used = [each["usage"]["completion_tokens"] for each in found]
    assert used == sorted(used)
    assert used[-1] == (2 if more else 1)
    assert all(each["usage"]["prompt_tokens"] for each in found)
    end = await chunks(chat_client, path, stream_options={"continuous_usage_stats": True}, **more)
    assert all("usage" not in each for each in end)
