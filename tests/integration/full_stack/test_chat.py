"""Chat through real processes: `mlxq serve`, `mlxq worker`, Redis, and the small model that the repository brings."""

import base64
import io
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import openai
import pytest
from PIL import Image

from tests.support.folders import TINY_CHAT
from tests.support.stack import MODEL, Stack
from tests.support.waiting import wait_until

LEASE_S = 1
STORY = [{"role": "user", "content": "Tell me a story."}]


class Told(NamedTuple):
    """A piece of a stream. number: its event's id, None where a later piece shares the event."""

    number: int | None
    chunk: dict[str, Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    models = (f"tiny-chat={TINY_CHAT}", MODEL)
    with Stack(tmp_path_factory.mktemp("chat"), *models, lease_s=LEASE_S) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0)


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


def test_a_schema_is_fulfilled_whatever_the_model_would_rather_say(client: openai.OpenAI):
    schema: Any = {
        "type": "json_schema",
        "json_schema": {
            "name": "person",
            "schema": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 30},
                    "year": {"type": "integer", "maximum": 9999},
                },
                "required": ["name", "year"],
                "additionalProperties": False,
            },
        },
    }
    messages: Any = [{"role": "user", "content": "Tell me a story."}]
    reply = client.chat.completions.create(
        model="tiny-chat",
        messages=messages,
        response_format=schema,
        max_tokens=200,
        extra_body={"enable_thinking": False},
    )
    found = json.loads(reply.choices[0].message.content or "")
    assert set(found) == {"name", "year"}
    assert isinstance(found["year"], int)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_time"}}])
def test_a_tool_is_called_where_it_must_be(client: openai.OpenAI, choice: Any):
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
    }
    tools: Any = [
        {"type": "function", "function": {"name": name, "parameters": parameters}}
        for name in ("get_weather", "get_time")
    ]
    messages: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
    reply = client.chat.completions.create(
        model="tiny-chat",
        messages=messages,
        tools=tools,
        tool_choice=choice,
        temperature=0,
        parallel_tool_calls=False,
        extra_body={"enable_thinking": False},
    )
    [call] = reply.choices[0].message.tool_calls or []
    assert reply.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert call.function.name == ("get_weather" if choice == "required" else "get_time")
    assert set(json.loads(call.function.arguments)) == {"city"}


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


WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITIES: Any = [{"role": "user", "content": "What is the weather in Oslo and Lima?"}]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_cut_is_told_as_far_as_it_goes(client: openai.OpenAI, stream: bool):
    asked: Any = {"model": "tiny-chat", "messages": CITIES, "tools": [WEATHER], "temperature": 0}

    def told(max_tokens: int) -> tuple[str, list[str], str | None]:
        """Content, arguments, and why it ended."""
        if not stream:
            [choice] = client.chat.completions.create(**asked, max_tokens=max_tokens).choices
            calls: Any = choice.message.tool_calls or ()
            return (
                choice.message.content or "",
                [call.function.arguments for call in calls],
                choice.finish_reason,
            )
        content, found, reason = "", list[str](), None
        for chunk in client.chat.completions.create(**asked, max_tokens=max_tokens, stream=True):
            [choice] = chunk.choices
            content += choice.delta.content or ""
            found += [
                call.function.arguments or "" for call in choice.delta.tool_calls or () if call.function
            ]
            reason = choice.finish_reason or reason
        return content, found, reason

    _, whole, reason = told(60)
    assert ([json.loads(each)["city"] for each in whole], reason) == (["Oslo", "Lima"], "tool_calls")
    most = 0
    for max_tokens in range(2, 46, 4):
        content, found, reason = told(max_tokens)
        assert (content, reason) == ("", "length")
        assert all(whole[place].startswith(each) for place, each in enumerate(found))
        assert len("".join(found)) >= most
        most = len("".join(found))
    assert most > len(whole[0])


@pytest.mark.parametrize("stop", ["\n", "\n\n"])
def test_white_space_that_is_not_shown_stops_nothing(client: openai.OpenAI, stop: str):
    added: Any = [{"role": "user", "content": "What is 4 plus 3?"}]
    reply = client.chat.completions.create(model="tiny-chat", messages=added, temperature=0, stop=stop)
    message: Any = reply.choices[0].message
    assert (message.content, message.reasoning_content.strip()) == (
        "4 plus 3 is 7.",
        "I add 3 to 4 and get 7.",
    )
    reply = client.chat.completions.create(
        model="tiny-chat", messages=CITIES, tools=[WEATHER], temperature=0, stop=stop
    )
    calls: Any = reply.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Lima"]


def test_special_tokens_are_text_only_for_who_asks(stack: Stack, client: openai.OpenAI):
    """888 is <|im_start|>, which the model is made to write."""
    asked: Any = {"messages": STORY}
    forced: Any = {"model": "tiny-chat", "max_tokens": 3, "logit_bias": {"888": 100}, "temperature": 0}
    shown = {"skip_special_tokens": False}
    reply = client.chat.completions.create(**asked, **forced)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("", "length")
    reply = client.chat.completions.create(**asked, **forced, extra_body=shown)
    assert reply.choices[0].message.content == "<|im_start|>" * 3
    text = client.completions.create(prompt="One", **forced, logprobs=0).choices[0]
    assert text.logprobs
    assert (text.text, text.logprobs.tokens, text.logprobs.text_offset) == (
        "",
        ["<|im_start|>"] * 3,
        [0, 0, 0],
    )
    ended = client.completions.create(prompt="One", **forced, stop="<|im_start|>").choices[0]
    assert (ended.text, ended.finish_reason) == ("", "stop")
    chunks = client.completions.create(prompt="One", **forced, extra_body=shown, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "<|im_start|>" * 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_bare_prompt_ends_where_the_models_files_say(stack: Stack, stream: bool):
    body = {"model": "tiny-chat", "prompt": "The capital of France is", "raw": True, "stream": stream}
    body["options"] = {"temperature": 0, "num_predict": 12, "repeat_last_n": 0}
    lines = stack.http.post(f"{stack.url}/api/generate", json=body).text.splitlines()
    assert "".join(json.loads(line)["response"] for line in lines) == " Paris."
    assert json.loads(lines[-1])["done_reason"] == "stop"


def content_of(line: dict[str, Any]) -> str:
    """What a line or an event of any dialect adds to the answer."""
    if "choices" in line:
        [choice] = line["choices"]
        return (choice.get("delta") or choice.get("message", {})).get("content") or ""
    if "content" in line:
        return "".join(block.get("text", "") for block in line["content"])
    return line.get("delta", {}).get("text", "") or line.get("message", {}).get("content") or ""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "limits"),
    [
        ("/v1/chat/completions", {"stop": ["\n", " is"], "temperature": 0}),
        ("/v1/messages", {"stop_sequences": ["\n", " is"], "temperature": 0, "max_tokens": 60}),
        (
            "/api/chat",
            {"options": {"stop": ["\n", " is"], "temperature": 0, "repeat_last_n": 0}, "think": True},
        ),
    ],
)
def test_stop_texts_end_what_is_shown_in_every_dialect(
    stack: Stack, path: str, limits: dict[str, Any], stream: bool
):
    messages = [{"role": "user", "content": "What is 4 plus 3?"}]
    body = {"model": "tiny-chat", "messages": messages, "stream": stream, **limits}
    reply = stack.http.post(f"{stack.url}{path}", json=body).text
    lines = [line.removeprefix("data: ") for line in reply.splitlines()]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert "".join(map(content_of, told)) == "4 plus 3"
    if path == "/v1/messages":
        assert '"stop_reason":"stop_sequence","stop_sequence":" is"' in reply


COSTLY = {
    "type": "object",
    "properties": {"a": {"type": "string", "pattern": "^((((a{100}){100}){100}){100})$"}},
    "required": ["a"],
}
"""Compiled at once, and too complex where the text begins."""


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"response_format": {"type": "json_schema", "json_schema": {"schema": COSTLY}}}),
        ("/v1/completions", {"guided_json": COSTLY}),
        ("/v1/messages", {"output_config": {"format": {"type": "json_schema", "schema": COSTLY}}, "max_tokens": 50}),
        ("/api/chat", {"format": COSTLY, "stream": False}),
        ("/v1/completions", {"guided_regex": "(?=a)b"}),
        ("/v1/messages", {"output_format": {"type": "json_schema", "schema": {"not": {}}}, "max_tokens": 50}),
        ("/api/chat", {"format": {"if": {}}, "stream": False}),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_held_to_is_a_400(stack: Stack, path: str, fields: dict[str, Any]):
    asked = {"prompt": "Tell me"} if path == "/v1/completions" else {"messages": STORY}
    reply = stack.http.post(f"{stack.url}{path}", json={"model": "tiny-chat", **asked, **fields})
    assert reply.status_code == 400, reply.text
    assert "cannot be held to" in reply.text


def test_a_jobs_schema_that_cannot_be_held_to_is_its_error(stack: Stack):
    asked = {"task": "generate", "model": "tiny-chat", "messages": STORY, "guided_json": COSTLY}
    job_id = stack.http.post(f"{stack.url}/v1/jobs", json=asked).json()["id"]
    wait_until(lambda: stack.job(job_id)["status"] == "failed")
    error = stack.job(job_id)["error"]
    assert (error["code"], error["param"]) == ("invalid_input", "guided_json")


@pytest.mark.parametrize(
    ("fields", "pattern"),
    [
        ({"guided_choice": ["a red fox", "a blue whale"]}, "a red fox|a blue whale"),
        ({"guided_regex": "[a-c]{3}-[0-9]{2}"}, "[a-c]{3}-[0-9]{2}"),
        ({"grammar": 'root ::= "it is " color\ncolor ::= "red" | "blue"'}, "it is (red|blue)"),
        ({"structured_outputs": {"grammar": 'start: "it is " ("red" | "blue")'}}, "it is (red|blue)"),
    ],
)
def test_an_answer_has_the_format_that_its_request_names(stack: Stack, fields: dict[str, Any], pattern: str):
    for path, asked in (("chat/completions", {"messages": STORY}), ("completions", {"prompt": "Tell me"})):
        body = {"model": "tiny-chat", "max_tokens": 50, "enable_thinking": False, **asked, **fields}
        reply = stack.http.post(f"{stack.url}/v1/{path}", json=body)
        assert reply.status_code == 200, reply.text
        choice = reply.json()["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        assert re.fullmatch(pattern, text), text
        assert choice["finish_reason"] == "stop"


def test_an_open_schema_comes_to_an_end(client: openai.OpenAI):
    """The texts are bounded: where this model is to begin a JSON text, it is at a loss and repeats itself."""
    text = {"type": "string", "maxLength": 10}
    person = {
        "type": "object",
        "properties": {"name": text, "age": {"type": "integer"}},
        "required": ["name"],
    }
    schema = {"type": "object", "properties": {"people": {"type": "array", "items": person, "maxItems": 1}}}
    messages: Any = [{"role": "user", "content": "Tell me about a person."}]
    for seed in range(12):
        reply = client.chat.completions.create(
            model="tiny-chat",
            messages=messages,
            seed=seed,
            max_tokens=120,
            response_format={"type": "json_schema", "json_schema": {"name": "people", "schema": schema}},
            extra_body={"enable_thinking": False},
        )
        assert reply.choices[0].finish_reason == "stop", reply.choices[0].message.content
        found = json.loads(reply.choices[0].message.content or "")
        assert set(found) <= {"people"}
        assert all(set(each) <= {"name", "age"} for each in found.get("people", ()))


@pytest.mark.parametrize("strict", [True, False])
def test_a_strict_tool_is_called_by_its_schema(client: openai.OpenAI, strict: bool):
    """Asked of Oslo, the model would say Oslo."""
    cities = {"type": "object", "properties": {"city": {"enum": ["Rome", "Lima"]}}, "required": ["city"]}
    tools: Any = [
        {"type": "function", "function": {"name": "get_weather", "strict": strict, "parameters": cities}}
    ]
    messages: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
    reply = client.chat.completions.create(
        model="tiny-chat",
        messages=messages,
        tools=tools,
        temperature=0,
        extra_body={"enable_thinking": False},
    )
    [call] = reply.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (json.loads(call.function.arguments)["city"] in ("Rome", "Lima")) is strict
    plain: Any = [{"role": "user", "content": "What is the capital of France?"}]
    reply = client.chat.completions.create(
        model="tiny-chat", messages=plain, tools=tools, temperature=0, extra_body={"enable_thinking": False}
    )
    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].message.content
