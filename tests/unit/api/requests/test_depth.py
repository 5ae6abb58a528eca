"""JSON of callers that is nested very deep: taken or refused, also at the depths that are barely read."""

from typing import Any

import httpx
import msgspec
import pytest

from api.requests.tools import json_text
from jobs.errors import InvalidInput
from tests.support.memory_generation import CHAT_MODEL

DEEP = "DEEP"
CALL = {"function": {"name": "f", "arguments": DEEP}}
USE = {"type": "tool_use", "id": "i", "name": "f", "input": DEEP}
USED = [{"role": "assistant", "content": [USE]}, {"role": "user", "content": "x"}]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": DEEP}}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"guided_json": DEEP}),
    ("/v1/chat/completions", {"response_format": {"type": "json_schema", "json_schema": {"schema": DEEP}}}),
    ("/v1/chat/completions", {"tools": [FUNCTION]}),
    ("/v1/chat/completions", {"chat_template_kwargs": DEEP}),
    ("/v1/jobs", {"guided_json": DEEP, "task": "generate"}),
    ("/v1/messages", {"output_config": {"format": {"type": "json_schema", "schema": DEEP}}, "max_tokens": 1}),
    ("/v1/messages", {"tools": [{"name": "f", "input_schema": DEEP}], "max_tokens": 1}),
    ("/v1/messages", {"messages": USED, "max_tokens": 1}),
    ("/api/chat", {"format": DEEP, "stream": False}),
    ("/api/chat", {"tools": [FUNCTION], "stream": False}),
    ("/api/chat", {"messages": [{"role": "assistant", "tool_calls": [CALL]}], "stream": False}),
    ("/api/generate", {"prompt": "x", "format": DEEP, "stream": False}),
]  # fmt: skip


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(("path", "fields"), CALLS, ids=lambda each: str(each)[:60])
async def test_no_depth_is_an_internal_error(
    chat_client: httpx.AsyncClient, path: str, fields: dict[str, Any]
):
    body = {"model": CHAT_MODEL.id, "messages": [{"role": "user", "content": "x"}], **fields}
    head, _, tail = msgspec.json.encode(body).partition(b'"DEEP"')

    async def ask(depth: int) -> httpx.Response:
        return await chat_client.post(path, content=head + nested(depth) + tail)

    read, not_read = 90, 100_000
    while not_read - read > 1:
        middle = (read + not_read) // 2
        if "The body is nested too deeply" in (await ask(middle)).text:
            not_read = middle
        else:
            read = middle
    found = {depth: (await ask(depth)).status_code for depth in (90, *range(read - 20, read + 3), 100_000)}

    assert set(found.values()) <= {200, 202, 400}, found
    assert found[100_000] == 400


def test_what_cannot_be_encoded_names_its_field():
    value: dict[str, Any] = {}
    for _ in range(100_000):
        value = {"a": value}
    with pytest.raises(InvalidInput, match="x is nested too deeply") as caught:
        json_text(value, "x")
    assert caught.value.param == "x"
    while value:  # Python itself takes such an object apart level by level
        value = value["a"]
