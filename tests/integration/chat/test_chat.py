"""Chat through real processes: `mlxq serve`, `mlxq worker`, Redis, and the small model that the repository brings."""

import base64
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import openai
import pytest
from PIL import Image

from tests.support.stack import MODEL, Stack
from tests.support.waiting import wait_until

STORY = [{"role": "user", "content": "Tell me a story."}]


class Told(NamedTuple):
    """A piece of a stream. number: its event's id, None where a later piece shares the event."""

    number: int | None
    chunk: dict[str, Any]


def body(messages: list[dict[str, str]], **fields: object) -> dict[str, object]:
    return {"model": "tiny-chat", "messages": messages, "temperature": 0, "stream": True, **fields}


def events(reply: httpx.Response) -> Iterator[Told]:
    number = None
    for line in reply.iter_lines():
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: ") and line != "data: [DONE]":
            yield Told(number, json.loads(line[6:]))
            number = None


def text_of(told: list[Told]) -> str:
    deltas = [each.chunk["choices"][0]["delta"] for each in told if each.chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def story(stack: Stack, client: openai.OpenAI) -> str:
    reply = client.chat.completions.create(model="tiny-chat", messages=STORY, temperature=0)  # pyright: ignore[reportArgumentType]
    found = reply.choices[0].message.content
    assert found and reply.usage and reply.usage.completion_tokens > 150
    return found


def test_a_killed_worker_does_not_interrupt_the_story(stack: Stack, client: openai.OpenAI):
    expected = story(stack, client)
    told: list[Told] = []
    with stack.http.stream("POST", f"{stack.url}/v1/chat/completions", json=body(STORY)) as reply:
        job_id = reply.headers["x-job-id"]
        for each in events(reply):
            told.append(each)
            if len(told) == 20:
                stack.kill_worker()
    assert text_of(told) == expected
    numbers = [each.number for each in told if each.number is not None]
    assert numbers == sorted(set(numbers))
    assert stack.job(job_id)["attempts"] == 2


def test_a_reader_that_comes_back_gets_the_rest(stack: Stack, client: openai.OpenAI):
    expected = story(stack, client)
    options = {"Idempotency-Key": f"story {time.time()}"}  # so that going away does not cancel it
    told: list[Told] = []
    with stack.http.stream(
        "POST", f"{stack.url}/v1/chat/completions", json=body(STORY), headers=options
    ) as reply:
        job_id = reply.headers["x-job-id"]
        for each in events(reply):
            told.append(each)
            if len(told) >= 30 and each.number is not None:
                break
    last = {"Last-Event-ID": str(told[-1].number)}
    with stack.http.stream("GET", f"{stack.url}/v1/jobs/{job_id}/events", headers=last) as reply:
        told += events(reply)
    assert text_of(told) == expected


def test_a_reader_that_leaves_ends_the_answer(stack: Stack):
    with stack.http.stream("POST", f"{stack.url}/v1/chat/completions", json=body(STORY)) as reply:
        job_id = reply.headers["x-job-id"]
        next(events(reply))
    wait_until(lambda: stack.job(job_id)["status"] == "canceled")


def test_many_chats_at_once_each_get_their_own_answer(client: openai.OpenAI):
    facts = {
        "What is the capital of France?": "The capital of France is Paris.",
        "What is the capital of Norway?": "The capital of Norway is Oslo.",
    }

    def ask(question: str) -> str | None:
        messages: Any = [{"role": "user", "content": question}]
        extra = {"enable_thinking": False}
        reply = client.chat.completions.create(
            model="tiny-chat", messages=messages, temperature=0, extra_body=extra
        )
        return reply.choices[0].message.content

    questions = list(facts) * 8
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, questions)) == [facts[question] for question in questions]


def test_the_second_turn_of_a_chat_computes_only_what_is_new(client: openai.OpenAI):
    text = "Here is a long text. " * 40
    turns: Any = [
        {"role": "system", "content": text},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    first = client.chat.completions.create(model="tiny-chat", messages=turns, temperature=0, max_tokens=20)
    turns += [
        {"role": "assistant", "content": first.choices[0].message.content},
        {"role": "user", "content": "And of Norway?"},
    ]
    second = client.chat.completions.create(model="tiny-chat", messages=turns, temperature=0, max_tokens=20)
    assert first.usage and second.usage and second.usage.prompt_tokens_details
    cached = second.usage.prompt_tokens_details.cached_tokens
    assert cached is not None and cached > 100


def test_a_prompt_over_the_context_is_refused(client: openai.OpenAI):
    messages: Any = [{"role": "user", "content": "word " * 20_000}]
    with pytest.raises(openai.BadRequestError, match="context"):
        client.chat.completions.create(model="tiny-chat", messages=messages)


def test_a_text_model_is_shown_no_picture(client: openai.OpenAI):
    raw = io.BytesIO()
    Image.new("RGB", (8, 8)).save(raw, "PNG")
    picture = f"data:image/png;base64,{base64.b64encode(raw.getvalue()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "What is it?"}]
    messages: Any = [{"role": "user", "content": content}]
    with pytest.raises(openai.BadRequestError, match="text only"):
        client.chat.completions.create(model="tiny-chat", messages=messages)


def test_a_chat_is_not_for_an_embedding_model_nor_the_other_way_round(client: openai.OpenAI):
    messages: Any = [{"role": "user", "content": "hello"}]
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=messages)
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="tiny-chat", input="hello")


def test_embeddings_and_chat_share_the_worker(stack: Stack, client: openai.OpenAI):
    expected = story(stack, client)
    with ThreadPoolExecutor(2) as pool:
        flood = pool.submit(stack.embed, [f"text number {n} about the sea and the hills" for n in range(300)])
        assert story(stack, client) == expected
        assert flood.result().status_code == 200
