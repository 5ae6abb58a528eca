"""Text completions, whole and as streams."""

import asyncio
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.replies.fingerprint import system_fingerprint
from jobs.errors import InputTooLong, JobError, Overloaded
from jobs.generate import (
    Choice,
    GenerateJob,
    GenerateResult,
    Piece,
    Pieces,
    Prompt,
    PromptToken,
    ScoredToken,
    TokenLogprobs,
)
from jobs.job import Job, SubmitOptions
from jobs.settings import Settings
from tests.support.chat_requests import (
    Caller,
    ScriptedQueue,
    Sent,
    chunks_of,
    complete,
    last_job,
    prompts,
    sent_events,
)
from tests.support.memory_generation import CHAT_MODEL, DIGEST
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect


def texts(response: httpx.Response) -> dict[int, str]:
    """The text of each choice, of a reply or a stream."""
    if response.headers["content-type"] == "application/json":
        return {choice["index"]: choice["text"] for choice in response.json()["choices"]}
    found: dict[int, str] = {}
    for chunk in chunks_of(sent_events(response.text)):
        for choice in chunk["choices"]:
            found[choice["index"]] = found.get(choice["index"], "") + choice["text"]
    return found


async def test_a_reply_is_exactly_openais(chat_client: httpx.AsyncClient):
    reply = (await complete(chat_client)).json()
    assert reply.pop("id").startswith("cmpl-")
    assert reply.pop("created") > 1_700_000_000
    assert reply == {
        "object": "text_completion",
        "model": CHAT_MODEL.id,
        "choices": [{"text": "one two three", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 3,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "system_fingerprint": system_fingerprint(DIGEST),
    }


async def test_a_bare_request_is_continued_by_16_tokens(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    [choice] = (await complete(chat_client, prompt="a " * 20)).json()["choices"]
    assert last_job(generator) == GenerateJob(model=CHAT_MODEL.id, prompt=Prompt("a " * 20), max_tokens=16)
    assert (len(choice["text"].split()), choice["finish_reason"]) == (16, "length")


async def test_minus_one_sets_no_limit(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    assert (await complete(chat_client, max_tokens=-1)).status_code == 200
    assert last_job(generator).max_tokens is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("one text", ["one text"]),
        (["one", "two"], ["one", "two"]),
        ([1, 2, 3], [(1, 2, 3)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
    ],
)
async def test_every_form_of_prompt_becomes_jobs(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, found: list[object]
):
    reply = await complete(chat_client, prompt=given)
    assert reply.status_code == 200
    assert prompts(generator) == found
    assert len(reply.json()["choices"]) == len(found)


@pytest.mark.parametrize("stream", [False, True])
async def test_choices_are_numbered_through_the_prompts(chat_client: httpx.AsyncClient, stream: bool):
    reply = await complete(chat_client, prompt=["a b", "c", "d"], n=2, stream=stream)
    assert texts(reply) == {0: "a b", 1: "a b", 2: "c", 3: "c", 4: "d", 5: "d"}


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_adds_up_the_prompts(chat_client: httpx.AsyncClient, stream: bool):
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    reply = await complete(chat_client, prompt=["a b", "c"], n=2, **options)
    last = chunks_of(sent_events(reply.text))[-1] if stream else reply.json()
    assert last["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 6,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_an_echo_is_put_before_the_answer(chat_client: httpx.AsyncClient, stream: bool):
    assert texts(await complete(chat_client, prompt="a b", echo=True, stream=stream)) == {0: "a ba b"}


async def test_a_stream_is_exactly_openais(chat_client: httpx.AsyncClient):
    reply = await complete(chat_client, prompt="a b", stream=True)
    assert reply.headers["content-type"] == "text/event-stream"
    *events, done = sent_events(reply.text)
    head = {key: events[0].data[key] for key in ("id", "created", "system_fingerprint")}
    assert head["system_fingerprint"] == system_fingerprint(DIGEST)
    assert head["id"] == f"cmpl-{reply.headers['x-job-id']}"

    def chunk(text: str, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        return {**head, "object": "text_completion", "model": CHAT_MODEL.id, "choices": [choice]}

    assert events == [Sent(1, chunk("a")), Sent(2, chunk(" b")), Sent(3, chunk("", "stop"))]
    assert done.data == "[DONE]"


async def test_a_stream_of_several_prompts_has_no_place_to_come_back_to(chat_client: httpx.AsyncClient):
    reply = await complete(chat_client, prompt=["a", "b"], stream=True)
    assert {event.id for event in sent_events(reply.text)} == {None}
    assert "location" not in reply.headers


async def test_logprobs_have_the_old_shape(chat_client: httpx.AsyncClient):
    [choice] = (await complete(chat_client, prompt="é b", logprobs=2)).json()["choices"]
    assert choice["logprobs"] == {
        "tokens": ["é", " b"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"é": -0.5, "é?": -1.5}, {" b": -0.5, " b?": -1.5}],
        "text_offset": [0, 1],
    }


async def test_a_token_that_is_none_of_the_alternatives_is_told_with_them(chat_client: httpx.AsyncClient):
    [choice] = (await complete(chat_client, prompt="a b", logprobs=0)).json()["choices"]
    assert choice["logprobs"]["top_logprobs"] == [{"a": -0.5}, {" b": -0.5}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("max_tokens", [0, 1])
async def test_an_echo_tells_the_prompts_logprobs(
    chat_client: httpx.AsyncClient, stream: bool, max_tokens: int
):
    fields = {"prompt": "é b", "echo": True, "logprobs": 1, "max_tokens": max_tokens, "stream": stream}
    reply = await complete(chat_client, **fields)
    found: dict[str, list[Any]] = {}
    for body in chunks_of(sent_events(reply.text)) if stream else [reply.json()]:
        for name, values in (body["choices"][0]["logprobs"] or {}).items():
            found[name] = found.get(name, []) + values
    answer = {"é": -0.5}
    assert found == {
        "tokens": ["é", " b", *list(answer)[:max_tokens]],
        "token_logprobs": [None, -0.5, *[-0.5][:max_tokens]],
        "top_logprobs": [None, {" b!!": -0.25, " b": -0.5}, *[answer][:max_tokens]],
        "text_offset": [0, 1, *[3][:max_tokens]],
    }
    assert texts(reply) == {0: "é b" + "é" * max_tokens}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/completions", {"Idempotency-Key": "k"}),
        ("/v1/completions", {"Prefer": "respond-async"}),
        ("/v1/jobs", {}),
    ],
)
@pytest.mark.parametrize("asked", [{"echo": True, "logprobs": 0}, {"prompt_logprobs": 0}])
async def test_a_job_shows_its_prompts_logprobs(
    chat_client: httpx.AsyncClient, path: str, headers: dict[str, str], asked: dict[str, Any]
):
    body = {"model": CHAT_MODEL.id, "prompt": "a b", "task": "generate", **asked}
    await chat_client.post(path, json=body, headers=headers)
    [listed] = (await chat_client.get("/v1/jobs")).json()["data"]
    result = (await chat_client.get(f"/v1/jobs/{listed['id']}")).json()["result"]
    assert result["prompt_logprobs"] == [None, {"2": {"logprob": -0.5, "rank": 3, "decoded_token": " b"}}]


async def test_an_empty_answer_costs_its_prompt(chat_client: httpx.AsyncClient):
    reply = (await complete(chat_client, prompt="a b", max_tokens=0)).json()
    assert reply["choices"] == [{"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) == (2, 0)


async def test_no_prompt_is_the_beginning_of_a_document(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    await complete(chat_client, prompt=None)
    assert prompts(generator) == [""]


async def test_characters_of_several_tokens_count_once(connect: Connect):
    class Smiling(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            raw = [b"a", *("🙂".encode()[n : n + 1] for n in range(4)), b"b"]
            tokens = [ScoredToken(each.decode(errors="replace"), each, -0.5) for each in raw]
            chances = tuple(TokenLogprobs(token) for token in tokens)
            return GenerateResult((Choice("a🙂b", "stop", 6, logprobs=chances),), 1)

    [choice] = (await complete(connect(Smiling(models=(CHAT_MODEL,))), logprobs=0)).json()["choices"]
    assert choice["logprobs"]["text_offset"] == [0, 1, 1, 1, 1, 2]


async def test_a_hidden_token_has_no_characters_of_the_text(connect: Connect):
    class Hiding(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            tokens = [("one", False), ("<|end|>", True), (" two", False)]
            chances = [
                TokenLogprobs(ScoredToken(text, text.encode(), -0.5), (), hidden) for text, hidden in tokens
            ]
            return GenerateResult((Choice("one two", "stop", 3, logprobs=tuple(chances)),), 1)

    [choice] = (await complete(connect(Hiding(models=(CHAT_MODEL,))), logprobs=0)).json()["choices"]
    assert choice["logprobs"]["tokens"] == ["one", "<|end|>", " two"]
    assert choice["logprobs"]["text_offset"] == [0, 3, 3]


@pytest.mark.parametrize("stream", [False, True])
async def test_offsets_of_an_echo_are_those_in_its_text(connect: Connect, stream: bool):
    """SentencePiece reads a text as if a space were before it, and so what is behind a special token."""
    read = (("<s>", True), (" one", False), ("</s>", False), (" two", False), (" four", False))
    prompt = tuple(
        PromptToken(n, text, text.encode(), -0.5 if n else None, hidden=hidden)
        for n, (text, hidden) in enumerate(read)
    )
    chance = TokenLogprobs(ScoredToken(" five", b" five", -0.5))
    first = Piece(text="one</s>two four five", tokens=(9,), prompt_logprobs=prompt, logprobs=(chance,))
    told = (Pieces(5, 0, (first,)), Pieces(5, 0, (Piece(finish_reason="length"),)))
    queue = MemoryQueue(models=(CHAT_MODEL,), generate=lambda *_: told)
    reply = await complete(connect(queue), echo=True, logprobs=0, stream=stream)
    body = chunks_of(sent_events(reply.text))[0] if stream else reply.json()
    assert body["choices"][0]["logprobs"]["text_offset"] == [0, 0, 3, 7, 10, 15]


async def test_logprobs_of_a_stream_go_on_counting_characters(chat_client: httpx.AsyncClient):
    reply = await complete(chat_client, prompt=["one two three", "a"], logprobs=0, stream=True)
    offsets: dict[int, list[int]] = {0: [], 1: []}
    for chunk in chunks_of(sent_events(reply.text)):
        for choice in chunk["choices"]:
            offsets[choice["index"]] += (choice["logprobs"] or {"text_offset": []})["text_offset"]
    assert offsets == {0: [0, 3, 7], 1: [0]}


async def test_parts_of_a_character_are_named_by_their_bytes(connect: Connect):
    parts = tuple(ScoredToken("", bytes([byte]), float("-inf")) for byte in (0xF0, 0x9F))
    choice = Choice(text="", finish_reason="stop", tokens=1, logprobs=(TokenLogprobs(parts[0], parts),))

    class Halves(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            return GenerateResult(choices=(choice,), prompt_tokens=1)

    reply = await complete(connect(Halves(models=(CHAT_MODEL,))), logprobs=2)
    logprobs = reply.json()["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["bytes:\\xf0"]
    assert logprobs["top_logprobs"] == [{"bytes:\\xf0": -9999.0, "bytes:\\x9f": -9999.0}]


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"prompt": ""}, "prompt", "empty"),
        ({"prompt": []}, "prompt", "empty"),
        ({"prompt": ["a", 1]}, "prompt", "mixes"),
        ({"prompt": [-1]}, "prompt", ">= 0"),
        ({"prompt": {}}, "prompt", "prompt: "),
        ({"suffix": "end", "echo": True}, "suffix", "not together with echo"),
        ({"suffix": "end", "prompt": [1, 2]}, "suffix", "texts"),
        ({"best_of": 3}, "best_of", "must equal n"),
        ({"n": 2, "best_of": 1}, "best_of", "must equal n"),
        ({"logprobs": 6}, "logprobs", "<= 5"),
        ({"logprobs": True}, "logprobs", "`bool`"),
        ({"max_tokens": -2}, "max_tokens", ">= -1"),
        ({"truncate_prompt_tokens": 7}, "truncate_prompt_tokens", "never cut"),
        ({"temperature": 3}, "temperature", "<= 2"),
        ({"model": MODEL.id}, "model", "/v1/embeddings"),
        ({"model": MODEL.id, "prompt": ["a", "b"]}, "model", "/v1/embeddings"),
    ],
    ids=str,
)
async def test_a_refusal_names_the_field_and_what_is_wrong(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any], param: str, words: str
):
    reply = await complete(chat_client, **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert words in reply.json()["error"]["message"]
    assert not generator.submitted


async def test_what_is_to_follow_travels_with_each_prompt(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    assert (await complete(chat_client, prompt=["def f(", "x"], suffix="): pass")).status_code == 200
    jobs = [job for job, _ in generator.submitted if isinstance(job, GenerateJob)]
    assert [job.prompt for job in jobs] == [
        Prompt("def f(", suffix="): pass"),
        Prompt("x", suffix="): pass"),
    ]
    await complete(chat_client, suffix="")
    assert last_job(generator).prompt == Prompt("one two three")


async def test_what_asks_for_nothing_special_is_accepted(chat_client: httpx.AsyncClient):
    assert (
        await complete(chat_client, suffix=None, n=2, best_of=2, user="me", logprobs=None)
    ).status_code == 200


async def test_more_prompts_than_the_setting_allows_are_refused(connect: Connect, generator: MemoryQueue):
    client = connect(generator, max_inputs=2)
    assert (await complete(client, prompt=["a", "b", "c"])).json()["error"]["param"] == "prompt"


class PickyQueue(MemoryQueue):
    """Holds every job but that of the prompt "bad", which fails; `full`: takes so many jobs."""

    def __init__(self, *, full: int = 100) -> None:
        super().__init__(models=(CHAT_MODEL,), held=True)
        self.full = full

    async def submit(self, job: Job, options: SubmitOptions):
        if len(self.submitted) >= self.full:
            raise Overloaded
        ticket = await super().submit(job, options)
        if isinstance(job, GenerateJob) and job.prompt == Prompt("bad"):
            self._held.remove(ticket.id)
            self._records[ticket.id].end(InputTooLong(param="prompt"), "failed")
        return ticket


@pytest.mark.parametrize("stream", [False, True])
async def test_one_prompt_that_fails_ends_the_others(connect: Connect, stream: bool):
    queue = PickyQueue()
    reply = await complete(connect(queue), prompt=["a", "bad", "b"], stream=stream)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert len(queue.canceled) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_prompts_that_do_not_all_fit_the_queue_are_all_refused(connect: Connect, stream: bool):
    queue = PickyQueue(full=2)
    reply = await complete(connect(queue), prompt=["a", "b", "c"], stream=stream)
    assert reply.status_code == 429
    assert len(queue.canceled) == 2


async def test_prompts_that_take_too_long_are_all_canceled(connect: Connect):
    queue = PickyQueue()
    assert (await complete(connect(queue, wait_s=0.01), prompt=["a", "b"])).status_code == 504
    assert len(queue.canceled) == 2


async def test_a_caller_who_disconnects_takes_all_its_prompts_with_it():
    queue = PickyQueue()
    body = {"model": CHAT_MODEL.id, "prompt": ["a", "b"]}
    caller = Caller(create_app(queue, Settings()), "POST", "/v1/completions", body)
    caller.disconnect()
    await caller.ended()
    assert len(queue.canceled) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_prompts_of_one_request_are_found_again_by_its_key(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, stream: bool
):
    body = {"model": CHAT_MODEL.id, "prompt": ["a", "b"], "stream": stream}
    headers = {"Idempotency-Key": "k"}
    replies = [await chat_client.post("/v1/completions", json=body, headers=headers) for _ in range(2)]
    assert texts(replies[0]) == texts(replies[1]) == {0: "a", 1: "b"}
    assert len(generator.submitted) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_several_prompts_cannot_become_one_job(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, stream: bool
):
    body = {"model": CHAT_MODEL.id, "prompt": ["a", "b"], "stream": stream}
    reply = await chat_client.post("/v1/completions", json=body, headers={"Prefer": "respond-async"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "Prefer")
    assert not generator.submitted


async def test_one_prompt_may_become_a_job(connect: Connect):
    queue = MemoryQueue(models=(CHAT_MODEL,), held=True)
    client = connect(queue)
    body = {"model": CHAT_MODEL.id, "prompt": "a b"}
    for stream in (False, True):
        reply = await client.post(
            "/v1/completions", json={**body, "stream": stream}, headers={"Prefer": "respond-async"}
        )
        assert (reply.status_code, reply.json()["task"]) == (202, "generate")


async def test_one_stream_of_several_that_fails_on_the_way_ends_all():
    class Halting(ScriptedQueue):
        async def stream(self, job_id: str, after: int = 0):
            if job_id == self._held[0]:
                yield 1, Pieces(1, 0, (Piece(text="a", tokens=(1,)),))
                raise JobError
            await asyncio.Event().wait()
            yield 1, Pieces(1, 0, ())

    queue = Halting()
    body = {"model": CHAT_MODEL.id, "prompt": ["a", "b"], "stream": True}
    caller = Caller(create_app(queue, Settings()), "POST", "/v1/completions", body)
    await caller.message()
    assert sent_events((await caller.body()).decode())[0].data["choices"][0]["text"] == "a"
    assert sent_events((await caller.body()).decode())[0].data["error"]["code"] == "job_error"
    await caller.ended()
    assert len(queue.canceled) == 2
