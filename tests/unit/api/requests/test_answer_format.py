"""The format of an answer, in every place where a caller may put it: kept to, or refused by name."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from jobs.answer_format import AnswerFormat, ChoiceFormat, GrammarFormat, JsonFormat, RegexFormat
from jobs.generate import Tool
from tests.support.chat_requests import HELLO, chat, complete, last_chat, last_job
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue

Ask = Callable[..., Awaitable[httpx.Response]]

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}
TEXT = '{"type":"object","properties":{"a":{"type":"integer"}}}'
GBNF = 'root ::= "a"'
WIDE = {"properties": {f"p{i}": {"type": "integer"} for i in range(800)}}
DEEP: dict[str, Any] = {}
for _ in range(120):
    DEEP = {"items": DEEP}


async def message(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    body = {"model": CHAT_MODEL.id, "max_tokens": 9, "messages": HELLO, **fields}
    return await client.post("/v1/messages", json=body)


async def ollama_chat(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(
        "/api/chat", json={"model": CHAT_MODEL.id, "messages": HELLO, "stream": False, **fields}
    )


async def ollama_generate(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(
        "/api/generate", json={"model": CHAT_MODEL.id, "prompt": "one", "stream": False, **fields}
    )


async def job(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(
        "/v1/jobs", json={"task": "generate", "model": CHAT_MODEL.id, "messages": HELLO, **fields}
    )


OPENAI = [chat, complete, job]
KEPT: list[tuple[dict[str, Any], AnswerFormat]] = [
    ({"response_format": {"type": "json_object"}}, JsonFormat()),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}, JsonFormat(TEXT)),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, JsonFormat()),
    ({"response_format": {"type": "json_schema", "json_schema": SCHEMA}}, JsonFormat(TEXT)),
    ({"response_format": {"type": "json_schema", "schema": SCHEMA, "name": "x", "strict": True}},
     JsonFormat(TEXT, strict=True)),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}},
     JsonFormat(TEXT, strict=True)),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": None}}},
     JsonFormat(TEXT)),
    ({"response_format": {"type": "json_object", "schema": SCHEMA}}, JsonFormat(TEXT)),
    ({"guided_json": SCHEMA}, JsonFormat(TEXT, "guided_json")),
    ({"guided_json": TEXT}, JsonFormat(TEXT, "guided_json")),
    ({"guided_regex": "[ab]+"}, RegexFormat("[ab]+", "guided_regex")),
    ({"guided_choice": ["a", "b"]}, ChoiceFormat(("a", "b"), "guided_choice")),
    ({"guided_grammar": GBNF}, GrammarFormat(GBNF, "guided_grammar")),
    ({"structured_outputs": {"json": SCHEMA}}, JsonFormat(TEXT, "structured_outputs")),
    ({"structured_outputs": {"json_object": True}}, JsonFormat(None, "structured_outputs")),
    ({"structured_outputs": {"regex": "a"}}, RegexFormat("a", "structured_outputs")),
    ({"structured_outputs": {"choice": ["a"]}}, ChoiceFormat(("a",), "structured_outputs")),
    ({"structured_outputs": {"grammar": GBNF, "disable_fallback": True}}, GrammarFormat(GBNF, "structured_outputs")),
    ({"json_schema": SCHEMA}, JsonFormat(TEXT, "json_schema")),
    ({"json_schema": TEXT}, JsonFormat(TEXT, "json_schema")),
    ({"grammar": GBNF}, GrammarFormat(GBNF, "grammar")),
    ({"ebnf": GBNF}, GrammarFormat(GBNF, "ebnf")),
    ({"regex": "a"}, RegexFormat("a", "regex")),
]  # fmt: skip


@pytest.mark.parametrize("ask", OPENAI)
@pytest.mark.parametrize(("fields", "expected"), KEPT, ids=lambda each: str(each)[:50])
async def test_a_format_is_the_jobs_wherever_it_stands(
    chat_client: httpx.AsyncClient,
    generator: MemoryQueue,
    ask: Ask,
    fields: dict[str, Any],
    expected: AnswerFormat,
):
    reply = await ask(chat_client, **fields)
    assert reply.status_code in (200, 202), reply.text
    assert last_job(generator).format == expected


@pytest.mark.parametrize("ask", OPENAI)
async def test_no_format_is_none(chat_client: httpx.AsyncClient, generator: MemoryQueue, ask: Ask):
    nothing = dict.fromkeys(
        ("guided_json", "grammar", "format", "extra_body", "structured_outputs", "json_schema")
    )
    reply = await ask(chat_client, **nothing, response_format={"type": "text"}, regex="")
    assert reply.status_code in (200, 202), reply.text
    assert last_job(generator).format is None


TEXTS = ("guided_json", "guided_regex", "guided_grammar", "json_schema", "regex", "ebnf", "grammar")
REFUSED = ("format", "output_format", "structural_tag", "guided_whitespace_pattern", "extra_body")


@pytest.mark.parametrize("ask", OPENAI)
@pytest.mark.parametrize(
    "fields",
    [
        *({field: ""} for field in (*TEXTS, *REFUSED)),
        *({field: {}} for field in ("extra_body", "structural_tag", "output_format", "structured_outputs")),
        *({"structured_outputs": {field: ""}} for field in ("json", "regex", "grammar")),
        {"structured_outputs": {"json": None, "json_object": False, "disable_fallback": True}},
    ],
    ids=str,
)  # fmt: skip
async def test_an_empty_text_or_object_is_no_format(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, ask: Ask, fields: dict[str, Any]
):
    reply = await ask(chat_client, **fields)
    assert reply.status_code in (200, 202), reply.text
    assert last_job(generator).format is None
    reply = await ask(chat_client, **fields, response_format={"type": "json_object"})
    assert reply.status_code in (200, 202), reply.text
    assert last_job(generator).format == JsonFormat()


@pytest.mark.parametrize("ask", OPENAI)
async def test_an_empty_schema_asks_for_json(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, ask: Ask
):
    for field in ("guided_json", "json_schema"):
        assert (await ask(chat_client, **{field: {}})).status_code in (200, 202)
        assert last_job(generator).format == JsonFormat("{}", field)


@pytest.mark.parametrize("ask", OPENAI)
@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema is missing"),
        ({"response_format": {"type": "text", "schema": SCHEMA}}, "response_format", "json_schema"),
        (
            {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
            "response_format",
            "json_schema",
        ),
        ({"response_format": {"type": "json_object", "value": SCHEMA}}, "response_format", "`value`"),
        ({"response_format": {"type": "regex", "pattern": "a"}}, "response_format", "'regex'"),
        ({"response_format": {"schema": SCHEMA}}, "response_format.type", "type"),
        ({"response_format": SCHEMA}, "response_format", "object"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA, "type": "object"}}},
            "response_format",
            "`type`",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}, "schema": SCHEMA}},
            "response_format",
            "contradict",
        ),
        ({"guided_json": SCHEMA, "guided_regex": "a"}, "guided_regex", "contradict"),
        ({"response_format": {"type": "json_object"}, "grammar": GBNF}, "grammar", "contradict"),
        ({"structured_outputs": {"structural_tag": "{}"}}, "structured_outputs", "`structural_tag`"),
        ({"structured_outputs": {"whitespace_pattern": " "}}, "structured_outputs", "`whitespace_pattern`"),
        ({"structured_outputs": {"json": SCHEMA, "regex": "a"}}, "structured_outputs", "contradict"),
        ({"guided_json": "{"}, "guided_json", "not a JSON schema"),
        ({"guided_json": " "}, "guided_json", "not a JSON schema"),
        ({"format": {}}, "format", "response_format"),
        ({"guided_json": "5"}, "guided_json", "must be a JSON object"),
        ({"guided_choice": []}, "guided_choice", "one text or more"),
        ({"guided_choice": "a"}, "guided_choice", "array"),
        ({"grammar": {"type": "json", "value": SCHEMA}}, "grammar", "str"),
        ({"format": SCHEMA}, "format", "response_format"),
        ({"output_format": SCHEMA}, "output_format", "response_format"),
        ({"structural_tag": {"type": "x"}}, "structural_tag", "response_format"),
        ({"guided_whitespace_pattern": " "}, "guided_whitespace_pattern", "cannot be chosen"),
        ({"extra_body": {"guided_json": SCHEMA}}, "extra_body", "beside the others"),
        ({"response_format": {"type": "json_object", "schema": WIDE}}, "response_format", "800 properties"),
        ({"guided_json": DEEP}, "guided_json", "100 deep"),
        ({"json_schema": {"multipleOf": 999_983}}, "json_schema", "remainders"),
    ],
)
async def test_a_format_that_is_not_read_is_refused_by_name(
    chat_client: httpx.AsyncClient, ask: Ask, fields: dict[str, Any], param: str, says: str
):
    reply = await ask(chat_client, **fields)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["param"] == param
    assert says in error["message"]


FOREIGN = ("response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
           "json_schema", "regex", "ebnf", "grammar", "extra_body")  # fmt: skip


@pytest.mark.parametrize("ask", [message, ollama_chat, ollama_generate])
@pytest.mark.parametrize("field", FOREIGN)
async def test_a_format_of_another_dialect_is_refused_by_name(
    chat_client: httpx.AsyncClient, ask: Ask, field: str
):
    reply = await ask(chat_client, **{field: SCHEMA})
    assert reply.status_code == 400, reply.text
    assert field in reply.text
    for nothing in (None, "") if field in ("guided_json", "json_schema") else (None, "", {}):
        assert (await ask(chat_client, **{field: nothing})).status_code == 200
    if field in ("guided_json", "json_schema"):
        assert (await ask(chat_client, **{field: {}})).status_code == 400


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "output_config"),
        ({"output_format": {"type": "json_schema", "schema": SCHEMA, "name": "x"}}, "output_format"),
    ],
)
async def test_anthropics_format_stands_in_two_places(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any], param: str
):
    assert (await message(chat_client, **fields)).status_code == 200
    assert last_job(generator).format == JsonFormat(TEXT, param)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": SCHEMA},
        {"output_format": {"type": "json_schema"}},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA, "json_schema": SCHEMA}}},
        {"output_config": {"format": {"type": "json_schema", "schema": WIDE}}},
        {"tools": [{"name": "t", "input_schema": WIDE}], "tool_choice": {"type": "any"}},
        {
            "output_format": {"type": "json_schema", "schema": SCHEMA},
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        },
    ],
)
async def test_anthropics_format_that_is_wrong_is_refused(
    chat_client: httpx.AsyncClient, fields: dict[str, Any]
):
    reply = await message(chat_client, **fields)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("ask", [ollama_chat, ollama_generate])
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"format": WIDE}, "800 properties"),
        ({"format": json.dumps(SCHEMA)}, "format is"),
        ({"format": [SCHEMA]}, "format"),
        ({"options": {"grammar": GBNF}}, "grammar"),
        ({"options": {"format": "json"}}, "format"),
    ],
)
async def test_ollamas_format_that_is_wrong_is_refused(
    chat_client: httpx.AsyncClient, ask: Ask, fields: dict[str, Any], says: str
):
    reply = await ask(chat_client, **fields)
    assert reply.status_code == 400, reply.text
    assert says in reply.json()["error"]


async def test_ollamas_format_is_the_jobs(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    assert (await ollama_generate(chat_client, format=SCHEMA)).status_code == 200
    assert last_job(generator).format == JsonFormat(TEXT, "format")


async def test_tools_that_have_to_be_called_are_measured(chat_client: httpx.AsyncClient):
    tools = [{"type": "function", "function": {"name": "wide", "parameters": WIDE}}]
    assert (await chat(chat_client, tools=tools)).status_code == 200
    refused = await chat(chat_client, tools=tools, tool_choice="required")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "tools"


async def test_strict_tools_are_so_in_the_job_and_measured(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    function = {"name": "t", "parameters": SCHEMA, "strict": True}
    openai, anthropic = (
        {"type": "function", "function": function},
        {"name": "t", "input_schema": SCHEMA, "strict": True},
    )
    for ask, tool in ((chat, openai), (message, anthropic), (ollama_chat, openai)):
        assert (await ask(chat_client, tools=[tool])).status_code == 200
        assert last_chat(generator).tools == (Tool("t", "", TEXT, strict=True),)
    wide = {"type": "function", "function": {**function, "parameters": WIDE}}
    assert (await chat(chat_client, tools=[wide])).status_code == 400
    assert (await ollama_chat(chat_client, tools=[wide])).status_code == 400
    assert (await message(chat_client, tools=[{**anthropic, "input_schema": WIDE}])).status_code == 400


async def test_strict_tools_of_every_dialect_are_counted(chat_client: httpx.AsyncClient):
    function = {"name": "t", "parameters": SCHEMA, "strict": True}
    openai = {"type": "function", "function": function}
    anthropic = {"name": "t", "input_schema": SCHEMA, "strict": True}
    for ask, tool in ((chat, openai), (job, openai), (message, anthropic), (ollama_chat, openai)):
        reply = await ask(chat_client, tools=[tool] * 1001)
        assert reply.status_code == 400, reply.text
        assert "There are 1001 tools; at most 1000" in reply.text


LARGE_MULTIPLE = {"type": "integer", "multipleOf": 10**400}
LARGE_FUNCTION = {"name": "f", "parameters": LARGE_MULTIPLE}


@pytest.mark.parametrize(
    ("ask", "fields"),
    [
        *((ask, {"guided_json": LARGE_MULTIPLE}) for ask in OPENAI),
        *((ask, {"response_format": {"type": "json_schema", "schema": LARGE_MULTIPLE}}) for ask in OPENAI),
        (message, {"output_config": {"format": {"type": "json_schema", "schema": LARGE_MULTIPLE}}}),
        (message, {"tools": [{"name": "f", "input_schema": LARGE_MULTIPLE, "strict": True}]}),
        (chat, {"tools": [{"type": "function", "function": LARGE_FUNCTION}], "tool_choice": "required"}),
        (ollama_chat, {"format": LARGE_MULTIPLE}),
        (ollama_generate, {"format": LARGE_MULTIPLE}),
    ],
)  # fmt: skip
async def test_a_number_too_large_for_a_float_is_refused(
    chat_client: httpx.AsyncClient, ask: Ask, fields: dict[str, Any]
):
    reply = await ask(chat_client, **fields)
    assert reply.status_code == 400, reply.text
    assert "a multipleOf has more than 20 digits" in reply.text


async def test_a_long_key_is_told_in_part(chat_client: httpx.AsyncClient):
    for form in (
        {"type": "json_schema", "json_schema": {"schema": {}, "k" * 300_000: 1}},
        {"type": "json_schema", "k" * 300_000: 1},
        {"type": "k" * 300_000},
    ):
        reply = await chat(chat_client, response_format=form)
        assert reply.status_code == 400, reply.text
        assert "kkk" in reply.text
        assert len(reply.content) < 2000
