"""Parameters of Anthropic's body beside its messages: what is begun for the model, kept in its cache, or refused."""

import json
from typing import Any

import httpx
import pytest
from anthropic.types.beta import message_create_params as beta
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsBase

from api.dialects.anthropic.chat import CountRequest, MessagesRequest
from api.dialects.anthropic.replies import signature
from jobs.content import TextPart
from jobs.generate import Message
from tests.support.chat_requests import HELLO, last_chat
from tests.support.images import OPAQUE_BASE64
from tests.support.memory_generation import THOUGHT
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.conftest import Connect
from tests.unit.api.dialects.anthropic.test_anthropic import TOOLS, ask, count

EPHEMERAL = {"type": "ephemeral"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": OPAQUE_BASE64}}
HEADERS = {"betas", "user_profile_id", "workspace_id"}
"""Parameters of the client that it sends as headers: about whom is billed."""


def begun(text: Any) -> dict[str, Any]:
    return {"messages": [*HELLO, {"role": "assistant", "content": text}]}


@pytest.mark.parametrize(
    ("params", "body"),
    [
        (MessageCreateParamsBase, MessagesRequest),
        (beta.MessageCreateParamsBase, MessagesRequest),
        (MessageCountTokensParams, CountRequest),
    ],
)
def test_every_parameter_of_the_client_is_known(params: Any, body: Any):
    names = set(params.__annotations__) - HEADERS
    assert names <= set(body.__struct_fields__)


@pytest.mark.parametrize("text", ["The best answer is (", [{"type": "text", "text": "The best answer is ("}]])
@pytest.mark.parametrize("post", [ask, count])
async def test_the_assistants_last_message_begins_the_answer(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, post: Any, text: Any
):
    assert (await post(chat_client, **begun(text))).status_code == 200
    chat = last_chat(generator)
    assert chat.continue_final
    assert chat.messages[-1] == Message("assistant", (TextPart("The best answer is ("),))


@pytest.mark.parametrize("text", ["", []])
async def test_an_empty_beginning_begins_nothing(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, text: Any
):
    assert (await ask(chat_client, **begun(text))).status_code == 200
    chat = last_chat(generator)
    assert (chat.continue_final, [each.role for each in chat.messages]) == (False, ["user"])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (begun("It is "), "trailing whitespace"),
        (begun(" \n"), "must end with a text"),
        (begun([{"type": "thinking", "thinking": "Hm.", "signature": ""}]), "must end with a text"),
        (begun([{"type": "tool_use", "id": "c", "name": "ask", "input": {}}]), "result of each tool_use"),
        ({**begun("It is"), "thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking: "),
        (
            {
                **begun("{"),
                "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            },
            "output_config: ",
        ),
    ],
)
async def test_what_cannot_be_gone_on_with_is_refused(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any], told: str
):
    reply = await ask(chat_client, **fields)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    assert told in reply.json()["error"]["message"]
    assert not generator.submitted


@pytest.mark.parametrize(
    "fields",
    [
        {"compaction": {"type": "auto"}},
        {"container": "container_1"},
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {
            "context_management": {
                "edits": [{"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}}]
            }
        },
        {"context_management": {"edits": "all"}},
        {"fallbacks": [{"model": "other"}]},
        {"inference_geo": "eu"},
        {"mcp_servers": [{"type": "url", "url": "https://a", "name": "a"}]},
        {"speed": "fast"},
        {"thread": {"id": "t"}},
        {"output_config": {"task_budget": {"type": "tokens", "total": 20000}}},
        {"tools": [{**TOOLS[0], "defer_loading": True}]},
        {"tools": [{**TOOLS[0], "allowed_callers": ["code_execution_20260120"]}]},
    ],
)
async def test_what_is_not_built_is_refused_by_name(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any]
):
    for post in (ask, count):
        reply = await post(chat_client, **fields)
        assert reply.status_code == 400
        assert next(iter(fields)) in reply.json()["error"]["message"]
    assert not generator.submitted


@pytest.mark.parametrize(
    "fields",
    [
        {"container": None, "mcp_servers": [], "fallbacks": None, "thread": None, "compaction": None},
        {"context_management": {"edits": []}},
        {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
        {"inference_geo": "global", "speed": "standard", "service_tier": "standard_only"},
        {"diagnostics": {"previous_message_id": None}, "metadata": {"user_id": "x"}},
        {"tools": [{**TOOLS[0], "allowed_callers": ["direct"], "eager_input_streaming": True}]},
    ],
)
async def test_what_asks_for_nothing_is_taken(chat_client: httpx.AsyncClient, fields: dict[str, Any]):
    assert (await ask(chat_client, **fields)).status_code == 200


async def test_examples_of_a_tools_input_are_shown_to_the_model(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    examples = [{"q": 1}, {"q": 2}]
    tools = [{**TOOLS[0], "input_examples": examples}, {"name": "bare", "input_examples": examples}]
    await ask(chat_client, tools=tools)
    shown = 'Examples of its input:\n{"q":1}\n{"q":2}'
    assert [tool.description for tool in last_chat(generator).tools] == [f"d\n\n{shown}", shown]


async def test_thoughts_can_be_left_out_of_the_reply(chat_client: httpx.AsyncClient):
    body = (await ask(chat_client, thinking={"type": "enabled", "display": "omitted"})).json()
    assert body["content"][0] == {"type": "thinking", "thinking": "", "signature": signature(THOUGHT)}


@pytest.mark.parametrize(
    "fields",
    [
        {"cache_control": EPHEMERAL},
        {"system": [{"type": "text", "text": "a", "cache_control": {**EPHEMERAL, "ttl": "1h"}}]},
        {"tools": [{**TOOLS[0], "cache_control": EPHEMERAL}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": EPHEMERAL}]}
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "c",
                            "content": [{"type": "text", "text": "a", "cache_control": EPHEMERAL}],
                        }
                    ],
                }
            ]
        },
    ],
)
async def test_tokens_that_the_cache_was_asked_to_keep_are_told(
    connect: Connect, generator: MemoryQueue, fields: dict[str, Any]
):
    told = (await ask(connect(generator), **fields)).json()["usage"]
    assert told["cache_creation_input_tokens"] > 0 == told["input_tokens"]
    plain = (await ask(connect(generator, prefix_cache_bytes=0), **fields)).json()["usage"]
    assert plain["input_tokens"] == told["cache_creation_input_tokens"]
    assert plain["cache_creation_input_tokens"] == 0


async def test_a_prompt_can_be_computed_for_the_cache_alone(chat_client: httpx.AsyncClient):
    body = (await ask(chat_client, max_tokens=0, cache_control=EPHEMERAL)).json()
    assert (body["content"], body["stop_reason"]) == ([], "max_tokens")
    assert (body["usage"]["output_tokens"], body["usage"]["cache_creation_input_tokens"]) == (0, 3)


async def test_no_cache_keeps_images(chat_client: httpx.AsyncClient):
    turn = {"role": "user", "content": [{**IMAGE, "cache_control": EPHEMERAL}]}
    usage = (await ask(chat_client, messages=[turn])).json()["usage"]
    assert usage["cache_creation_input_tokens"] == 0 < usage["input_tokens"]


async def test_a_cache_of_another_kind_is_refused(chat_client: httpx.AsyncClient):
    reply = await ask(chat_client, cache_control={"type": "eternal"})
    assert reply.status_code == 400 and "cache_control" in reply.json()["error"]["message"]


async def test_options_of_the_template_go_with_a_begun_answer(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    await ask(chat_client, **begun("It is"), thinking={"type": "disabled"})
    chat = last_chat(generator)
    assert chat.continue_final and json.loads(chat.template_options) == {"enable_thinking": False}


async def test_clients_are_told_to_go_on_without_a_thread(chat_client: httpx.AsyncClient):
    """By the code that the tool runner of @anthropic-ai/sdk looks for: it sends `thread` first."""
    reply = await ask(chat_client, messages=HELLO, thread={"type": "create"})
    assert reply.status_code == 400
    assert reply.json()["error"]["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }
    other = await ask(chat_client, messages=HELLO, temperature=9)
    assert other.status_code == 400
    assert "details" not in other.json()["error"]
