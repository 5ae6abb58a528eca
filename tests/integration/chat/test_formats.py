"""Schemas, grammars and tools that an answer is held to, through real processes."""

import json
import re
from typing import Any

import openai
import pytest

from tests.support.stack import Stack
from tests.support.waiting import wait_until

STORY = [{"role": "user", "content": "Tell me a story."}]


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
        ("/v1/messages",
         {"output_format": {"type": "json_schema", "schema": {"not": {}}, "strict": True}, "max_tokens": 50}),
        ("/v1/chat/completions",
         {"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}, "strict": True}}}),
        ("/api/chat", {"format": {"type": "foo"}, "stream": False}),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_held_to_is_a_400(stack: Stack, path: str, fields: dict[str, Any]):
    asked = {"prompt": "Tell me"} if path == "/v1/completions" else {"messages": STORY}
    reply = stack.http.post(f"{stack.url}{path}", json={"model": "tiny-chat", **asked, **fields})
    assert reply.status_code == 400, reply.text
    assert "cannot be held to" in reply.text


NOTED = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True, "maxItems": 2}},
    "required": ["a"],
    "not": {"required": ["b"]},
}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"response_format": {"type": "json_schema", "json_schema": {"schema": NOTED}}}),
        ("/v1/messages", {"output_config": {"format": {"type": "json_schema", "schema": NOTED}}, "max_tokens": 50}),
        ("/api/chat", {"format": NOTED, "stream": False}),
    ],
)  # fmt: skip
def test_what_cannot_be_held_to_is_a_note_unless_the_schema_is_strict(
    stack: Stack, path: str, fields: dict[str, Any]
):
    reply = stack.http.post(f"{stack.url}{path}", json={"model": "tiny-chat", "messages": STORY, **fields})
    assert reply.status_code == 200, reply.text


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


def test_a_tool_may_be_called_before_the_answer_in_a_format(client: openai.OpenAI):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
    person = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 30}, "year": {"type": "integer"}},
        "required": ["name", "year"],
    }
    asked: Any = {
        "model": "tiny-chat",
        "tools": tools,
        "temperature": 0,
        "max_tokens": 100,
        "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": person}},
        "extra_body": {"enable_thinking": False},
    }
    weather: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
    [choice] = client.chat.completions.create(messages=weather, **asked).choices
    [call] = choice.message.tool_calls or []
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Oslo"})
    about: Any = [{"role": "user", "content": "Describe Ada Lovelace as JSON with name and year."}]
    more: dict[str, Any]
    for more in ({}, {"tool_choice": "none"}):
        [choice] = client.chat.completions.create(messages=about, **asked, **more).choices
        assert json.loads(choice.message.content or "") == {"name": "Ada Lovelace", "year": 1815}
