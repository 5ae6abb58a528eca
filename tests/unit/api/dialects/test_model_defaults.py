"""An alias's own parameters and messages, in every dialect: beneath what the request says."""

from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from api.app import create_app
from api.dialects.ollama.names import checked_parameters
from jobs.catalogue.defaults import ModelDefaults
from jobs.generate import Chat, GenerateJob
from jobs.settings import Settings
from jobs.store import record
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue

OWN = ModelDefaults(
    "Rhyme.",
    {
        "temperature": 0.3,
        "top_p": 0.7,
        "top_k": 9,
        "seed": 11,
        "stop": ("END",),
        "num_predict": 5,
        "repeat_penalty": 1.5,
        "repeat_last_n": 33,
        "presence_penalty": 0.2,
        "num_ctx": 4096,
    },
)
POET = replace(CHAT_MODEL, id="poet", of=CHAT_MODEL.id, defaults=OWN)
MESSAGES = [{"role": "user", "content": "Why?"}]

SAMPLED = {"temperature": 0.3, "top_p": 0.7, "top_k": 9, "seed": 11}
REPEATED = {"repetition_penalty": 1.5, "repetition_context": 33, "presence_penalty": 0.2}


async def asked(path: str, body: dict[str, Any], model: Any = POET) -> GenerateJob:
    queue = MemoryQueue(models=(MODEL, CHAT_MODEL, model))
    transport = httpx.ASGITransport(create_app(queue, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        reply = await client.post(path, json={"model": "poet", "stream": False, **body})
    assert reply.status_code == 200, reply.text
    assert queue.submitted, reply.text
    job = queue.submitted[0][0]
    assert isinstance(job, GenerateJob) and job.model == CHAT_MODEL.id
    return job


def has(job: GenerateJob, expected: dict[str, object]) -> bool:
    return {name: getattr(job.sampling, name) for name in expected} == expected


def roles(job: GenerateJob) -> list[str]:
    assert isinstance(job.prompt, Chat)
    return [message.role for message in job.prompt.messages]


@pytest.mark.parametrize(
    ("path", "body", "limit", "sampled"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}, 5, {**SAMPLED, **REPEATED}),
        ("/api/chat", {"messages": MESSAGES}, 5, {**SAMPLED, **REPEATED}),
        ("/api/generate", {"prompt": "Why?"}, 5, {**SAMPLED, **REPEATED}),
        ("/v2/chat", {"messages": MESSAGES}, 5, {**SAMPLED, "presence_penalty": 0.2}),
        (
            "/v1/messages",
            {"messages": MESSAGES, "max_tokens": 8},
            8,
            {"temperature": 0.3, "top_p": 0.7, "top_k": 9},
        ),
    ],
)
async def test_an_alias_has_its_own_parameters_and_system_message(
    path: str, body: dict[str, Any], limit: int, sampled: dict[str, object]
):
    job = await asked(path, body)

    assert has(job, sampled)
    assert (job.max_tokens, job.stop, roles(job)) == (limit, ("END",), ["system", "user"])


async def test_prompts_have_the_parameters_alone():
    job = await asked("/v1/completions", {"prompt": "Once"})

    assert has(job, {**SAMPLED, **REPEATED}) and (job.max_tokens, job.stop) == (5, ("END",))
    raw = await asked("/api/generate", {"prompt": "Once", "raw": True})
    assert not isinstance(raw.prompt, Chat) and raw.max_tokens == 5


OTHER: dict[str, Any] = {"temperature": 0.9, "max_tokens": 2, "stop": ["."]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**OTHER, "messages": [{"role": "system", "content": "No."}, *MESSAGES]}),
        (
            "/v1/chat/completions",
            {
                "temperature": 0.9, "max_completion_tokens": 2, "stop": ".",
                "messages": [{"role": "developer", "content": "No."}, *MESSAGES],
            },
        ),
        (
            "/api/chat",
            {
                "options": {"temperature": 0.9, "num_predict": 2, "stop": ["."]},
                "messages": [{"role": "system", "content": "No."}, *MESSAGES],
            },
        ),
        (
            "/api/chat",  # as the AI SDK writes it
            {
                "temperature": 0.9, "max_output_tokens": 2, "stop": ["."],
                "messages": [{"role": "system", "content": "No."}, *MESSAGES],
            },
        ),
        (
            "/api/generate",
            {"options": {"temperature": 0.9, "num_predict": 2, "stop": ["."]}, "prompt": "Why?", "system": "No."},
        ),
        (
            "/v2/chat",
            {
                "temperature": 0.9, "max_tokens": 2, "stop_sequences": ["."],
                "messages": [{"role": "system", "content": "No."}, *MESSAGES],
            },
        ),
        (
            "/v1/messages",
            {"temperature": 0.9, "max_tokens": 2, "stop_sequences": ["."], "system": "No.", "messages": MESSAGES},
        ),
    ],
)  # fmt: skip
async def test_what_the_request_says_goes_before(path: str, body: dict[str, Any]):
    job = await asked(path, body)

    assert has(job, {"temperature": 0.9, "top_p": 0.7})
    assert (job.max_tokens, job.stop, roles(job)) == (2, (".",), ["system", "user"])
    assert isinstance(job.prompt, Chat) and "No." in str(job.prompt.messages[0])


@pytest.mark.parametrize(
    ("parameters", "limit", "sampled"),
    [
        ({"num_predict": -1, "seed": -1}, None, {"seed": None}),
        (
            {"repeat_penalty": 1.5, "presence_penalty": 1, "frequency_penalty": 1, "repeat_last_n": 0},
            None,
            {"repetition_penalty": 1.0, "presence_penalty": 0, "frequency_penalty": 0},
        ),
        ({"repeat_penalty": 1.5, "repeat_last_n": -2}, None, {"repetition_penalty": 1.0}),
        (
            {"repeat_penalty": 1.5, "repeat_last_n": -1},
            None,
            {"repetition_penalty": 1.5, "repetition_context": 0},
        ),
        ({}, None, {"temperature": 1.0, "top_k": 0}),
    ],
)
async def test_ollamas_words_for_no_limit_mean_the_same_elsewhere(
    parameters: dict[str, Any], limit: int | None, sampled: dict[str, object]
):
    model = replace(POET, defaults=ModelDefaults("", parameters))
    job = await asked("/v1/chat/completions", {"messages": MESSAGES}, model)

    assert has(job, sampled) and job.max_tokens == limit and roles(job) == ["user"]


EXTREME = {
    "temperature": 500, "top_k": 40, "top_p": 2, "seed": 9007199254740993, "num_predict": 5.7, "stop": "END",
    "repeat_penalty": 0, "repeat_last_n": "33", "presence_penalty": -1e9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "limit"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}, 5),
        ("/v1/completions", {"prompt": "Why?"}, 5),
        ("/api/chat", {"messages": MESSAGES}, 5),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 8}, 8),
        ("/v2/chat", {"messages": MESSAGES}, 5),
    ],
)
@pytest.mark.parametrize("given", [EXTREME, {**EXTREME, "top_k": 40.0, "repeat_last_n": 33.0}])
async def test_what_a_modelfile_says_makes_jobs_that_workers_read(
    path: str, body: dict[str, Any], limit: int, given: dict[str, Any]
):
    made = replace(POET, defaults=ModelDefaults("", checked_parameters(given)))
    older = replace(POET, defaults=ModelDefaults("", {**checked_parameters(given), "top_k": 40.0}))
    for model in (made, older):
        job = await asked(path, body, model)
        assert msgspec.msgpack.decode(record.pack(job), type=GenerateJob) == job
        assert has(job, {"temperature": 100.0, "top_k": 40, "top_p": 1, "repetition_penalty": 1.0})
        assert (job.max_tokens, job.stop) == (limit, ("END",))
        assert job.sampling.seed == (None if path == "/v1/messages" else 9007199254740993)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat", "/v2/chat"])
@pytest.mark.parametrize(("word", "value"), [("top_k", "many"), ("temperature", True), ("stop", 3)])
async def test_a_parameter_of_another_type_is_named(path: str, word: str, value: Any):
    queue = MemoryQueue(models=(MODEL, replace(POET, defaults=ModelDefaults("", {word: value}))))
    transport = httpx.ASGITransport(create_app(queue, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        reply = await client.post(path, json={"model": "poet", "stream": False, "messages": MESSAGES})

    assert reply.status_code == 400 and f"has a parameter {word} that cannot be used" in reply.text
    assert not queue.submitted


async def test_a_model_that_is_not_named_is_no_alias():
    job = await asked("/v1/chat/completions", {"model": "", "messages": MESSAGES})

    assert has(job, {"temperature": 1.0})
