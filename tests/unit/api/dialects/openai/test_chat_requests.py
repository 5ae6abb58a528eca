"""How OpenAI's chat body becomes a job, and what of it is refused."""

import base64
from typing import Any

import httpx
import msgspec
import pytest

from jobs.answer_format import JsonFormat
from jobs.content import ImagePart, TextPart
from jobs.generate import Chat, GenerateJob, Message, Sampling, Tool, ToolCall
from tests.support.chat_requests import HELLO, chat, complete, last_chat, last_job
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look_up"}}
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"q": 1}'},
}


def allowed(names: list[str], mode: str = "auto") -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def user(content: object) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


async def test_a_bare_request_becomes_a_job_of_defaults(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    assert (await chat(chat_client)).status_code == 200
    assert last_job(generator) == GenerateJob(
        model=CHAT_MODEL.id,
        prompt=Chat(messages=(Message(role="user", content=(TextPart("one two three"),)),)),
    )


async def test_nulls_and_fields_nobody_knows_change_nothing(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    await chat(chat_client)
    plain = last_job(generator)
    nulls = dict.fromkeys(
        ("temperature", "top_p", "n", "stop", "max_tokens", "tools", "tool_choice", "response_format", "stream",
         "logprobs", "top_logprobs", "logit_bias", "seed", "functions", "modalities", "stream_options")
    )  # fmt: skip
    ignored = {
        "user": "me",
        "metadata": {"a": "b"},
        "store": True,
        "service_tier": "auto",
        "keep_alive": "5m",
    }
    reply = await chat(chat_client, **nulls, **ignored, prediction={"x": [1]})
    assert reply.status_code == 200
    assert last_job(generator) == plain


async def test_a_call_in_openais_old_form_is_a_call_of_the_history(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    call = {"name": "look", "arguments": '{"n": 1}'}
    turn = {"role": "assistant", "content": None, "function_call": call}
    assert (await chat(chat_client, messages=[*HELLO, turn, *HELLO])).status_code == 200
    assert last_chat(generator).messages[1].tool_calls == (ToolCall("call_1_0", "look", '{"n": 1}'),)
    refused = await chat(chat_client, messages=[{**HELLO[0], "function_call": call}])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")


async def test_sampling_travels_with_the_job(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    reply = await chat(
        chat_client, temperature=0.5, top_p=0.9, top_k=40, min_p=0.05, seed=-7, repetition_penalty=1.1,
        repetition_context_size=64, presence_penalty=-2, presence_context_size=10, frequency_penalty=2,
        frequency_context_size=20, logit_bias={"17": -100, "4": 2.5},
    )  # fmt: skip
    assert reply.status_code == 200
    assert last_job(generator).sampling == Sampling(
        temperature=0.5, top_p=0.9, top_k=40, min_p=0.05, seed=-7, repetition_penalty=1.1, repetition_context=64,
        presence_penalty=-2, presence_context=10, frequency_penalty=2, frequency_context=20,
        logit_bias={17: -100, 4: 2.5},
    )  # fmt: skip


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(("given", "limit"), [(-1, None), (-1.0, None), (16, 16), (16.0, 16), (None, None)])
async def test_an_answer_is_as_long_as_is_said_and_minus_one_sets_no_limit(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, field: str, given: float | None, limit: int | None
):
    assert (await chat(chat_client, **{field: given})).status_code == 200
    assert last_job(generator).max_tokens == limit


@pytest.mark.parametrize("given", [-1, -1.0, 0, None])
async def test_a_top_k_that_is_none_takes_all_tokens(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: float | None
):
    assert (await chat(chat_client, top_k=given)).status_code == 200
    assert last_job(generator).sampling.top_k == 0


@pytest.mark.parametrize(
    ("given", "skips"), [({}, True), ({"skip_special_tokens": None}, True), ({"skip_special_tokens": True}, True),
                         ({"skip_special_tokens": False}, False)]
)  # fmt: skip
async def test_special_tokens_are_left_out_unless_it_is_said_not_to(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: dict[str, Any], skips: bool
):
    for ask in (chat, complete):
        assert (await ask(chat_client, **given)).status_code == 200
        assert last_job(generator).skip_special_tokens == skips
    body = {"task": "generate", "model": CHAT_MODEL.id, "messages": HELLO, **given}
    assert (await chat_client.post("/v1/jobs", json=body)).status_code == 202
    assert last_job(generator).skip_special_tokens == skips


async def test_a_share_of_nothing_is_the_most_probable_token(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    await chat(chat_client, top_p=0, temperature=1.5)
    assert last_job(generator).sampling == Sampling(temperature=0)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_the_limit_has_an_old_and_a_new_name(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, field: str
):
    await chat(chat_client, **{field: 2})
    assert last_job(generator).max_tokens == 2


@pytest.mark.parametrize(
    ("given", "stop"), [("two", ("two",)), (["a", "b"], ("a", "b")), ([], ()), (None, ())]
)
async def test_stop_is_a_text_or_several(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, stop: tuple[str, ...]
):
    await chat(chat_client, stop=given)
    assert last_job(generator).stop == stop


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 20}, 20),
        ({"logprobs": False}, None),
        ({}, None),
    ],
)
async def test_logprobs_are_told_only_when_asked_for(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: dict[str, Any], expected: int | None
):
    assert (await chat(chat_client, **given)).status_code == 200
    assert last_job(generator).logprobs == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonFormat()),
        ({"type": "json_schema", "json_schema": {"name": "any"}}, JsonFormat()),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}},
            },
            JsonFormat('{"type":"object"}', strict=True),
        ),
    ],
)
async def test_a_response_format_becomes_the_jobs(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, expected: JsonFormat | None
):
    assert (await chat(chat_client, response_format=given)).status_code == 200
    assert last_job(generator).format == expected


async def test_a_developer_is_the_system(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    await chat(chat_client, messages=[{"role": "developer", "content": "Be brief."}, *HELLO])
    assert [message.role for message in last_chat(generator).messages] == ["system", "user"]


async def test_a_whole_conversation_with_calls_is_kept(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    reply = await chat(
        chat_client,
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                "name": "Al",
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm"},
            {"role": "tool", "content": "found", "tool_call_id": "call_1"},
        ],
    )
    assert reply.status_code == 200
    assert last_chat(generator).messages == (
        Message(role="user", content=(TextPart("a"), TextPart("b")), name="Al"),
        Message(role="assistant", reasoning="hm", tool_calls=(ToolCall("call_1", "look_up", '{"q": 1}'),)),
        Message(role="tool", content=(TextPart("found"),), tool_call_id="call_1"),
    )


async def test_a_call_without_arguments_has_an_empty_object(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    call = {"id": "c", "function": {"name": "look_up", "arguments": ""}}
    await chat(chat_client, messages=[{"role": "assistant", "tool_calls": [call]}, *HELLO])
    assert last_chat(generator).messages[0].tool_calls[0].arguments == "{}"


async def test_tools_travel_with_their_schemas(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    schema = {"type": "object", "properties": {"ü": {"type": "number", "maximum": 10**30}}}
    full = {"name": "a-b_c", "description": "Looks.", "parameters": schema, "strict": True}
    reply = await chat(
        chat_client, tools=[{"type": "function", "function": full}, TOOL], parallel_tool_calls=False
    )
    assert reply.status_code == 200
    found = last_chat(generator)
    properties = '"properties":{"ü":{"type":"number","maximum":1000000000000000000000000000000}}'
    assert found.tools == (
        Tool("a-b_c", "Looks.", f'{{"type":"object",{properties}}}', strict=True),
        Tool("look_up", "", '{"type":"object","properties":{}}'),
    )
    assert not found.parallel_tool_calls


@pytest.mark.parametrize(
    ("given", "choice", "name"),
    [
        ("auto", "auto", None),
        ("none", "none", None),
        ("required", "required", None),
        ({"type": "function", "function": {"name": "look_up"}}, "required", "look_up"),
    ],
)
async def test_a_tool_choice_is_a_word_or_a_name(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, choice: str, name: str | None
):
    assert (await chat(chat_client, tools=[TOOL], tool_choice=given)).status_code == 200
    assert (last_chat(generator).tool_choice, last_chat(generator).tool_name) == (choice, name)


async def test_variables_of_the_template_and_their_shorthands_are_joined(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    given = {"enable_thinking": True, "depth": [1, {"a": None}]}
    await chat(chat_client, chat_template_kwargs=given, enable_thinking=False, reasoning_effort="low")
    expected = '{"enable_thinking":false,"depth":[1,{"a":null}],"reasoning_effort":"low"}'
    assert last_chat(generator).template_options == expected


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, '{"enable_thinking":true}'),
        ({"type": "disabled"}, '{"enable_thinking":false}'),
        ({"type": "adaptive"}, "{}"),
        (None, "{}"),
    ],
)
async def test_thinking_is_the_templates_to_switch(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, given: object, options: str
):
    """LiteLLM sends Anthropic's form to servers of OpenAI's dialect, too."""
    assert (await chat(chat_client, thinking=given)).status_code == 200
    assert last_chat(generator).template_options == options
    refused = await chat(chat_client, thinking={"type": "enabled"}, enable_thinking=False)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "thinking")


async def test_a_role_mapping_is_kept(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    await chat(chat_client, role_mapping={"user": "Q: ", "assistant": "A: "})
    assert last_chat(generator).role_mapping == {"user": "Q: ", "assistant": "A: "}


async def test_images_come_as_parts_between_texts(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    data = base64.b64encode(b"a picture").decode()
    content = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}", "detail": "high"}},
        {"type": "image_url", "image_url": data},
    ]
    assert (await chat(chat_client, messages=user(content))).status_code == 200
    image = ImagePart(b"a picture")
    assert last_chat(generator).messages[0].content == (TextPart("see"), image, image)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"messages": []}, "messages", "messages is empty"),
        ({"messages": user(None)}, "messages", "messages[0].content is null"),
        ({"messages": [{"role": "user"}]}, "messages", "messages[0].content is missing"),
        ({"messages": [{"role": "system", "content": None}]}, "messages", "messages[0].content is null"),
        ({"messages": [{"content": "a"}]}, "messages[0].role", "Missing field: messages[0].role."),
        ({"tools": [TOOL, {"type": "function", "function": {}}]}, "tools[1].function.name",
         "Missing field: tools[1].function.name."),
        ({"messages": [*HELLO, {"role": "bot", "content": "a"}]}, "messages", "messages[1].role: "),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages", "messages[0].tool_call_id is missing"),
        ({"messages": [{"role": "user", "content": "a", "tool_calls": [CALL]}]}, "messages", "only an assistant"),
        ({"messages": user([{"type": "text"}])}, "messages", "messages[0].content[0].text is missing"),
        ({"messages": user([{"type": "text", "text": None}])}, "messages", "content[0].text is missing or null"),
        ({"messages": user([{"type": "image_url", "image_url": None}])}, "messages", "image_url is missing or null"),
        ({"messages": [{"role": "tool", "content": "a", "tool_call_id": None}]}, "messages",
         "tool_call_id is missing or null"),
        ({"tool_choice": {"type": "function", "function": None}}, "tool_choice", "function is missing or null"),
        ({"response_format": {"type": "json_schema", "json_schema": None}}, "response_format", "missing or null"),
        ({"messages": None}, "messages", "messages: Expected `array`, got `null`"),
        ({"tools": [TOOL, {"type": "function", "function": {"name": None}}]}, "tools",
         "tools[1].function.name: Expected `str`, got `null`"),
        ({"messages": user([{"type": "image_url"}])}, "messages", "content[0].image_url is missing"),
        ({"messages": user([{"type": "input_audio", "input_audio": {}}])}, "messages", "'input_audio'"),
        ({"messages": user([{"type": "refusal", "refusal": "no"}])}, "messages", "'refusal'"),
        ({"messages": user([{"type": "image_url", "image_url": "%%%"}])}, "messages", "not valid base64"),
        ({"max_tokens": 0}, "max_tokens", "-1 sets no limit"),
        ({"max_tokens": -2}, "max_tokens", ">= -1"),
        ({"max_completion_tokens": 0}, "max_completion_tokens", "-1 sets no limit"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "contradict"),
        ({"temperature": 2.1}, "temperature", "<= 2"),
        ({"temperature": -0.1}, "temperature", ">= 0"),
        ({"top_p": 1.1}, "top_p", "<= 1"),
        ({"min_p": -1}, "min_p", ">= 0"),
        ({"top_k": -2}, "top_k", ">= -1"),
        ({"n": 0}, "n", ">= 1"),
        ({"n": 17}, "n", "<= 16"),
        ({"seed": 2**64}, "seed", "seed: "),
        ({"presence_penalty": 2.1}, "presence_penalty", "<= 2"),
        ({"frequency_penalty": -2.1}, "frequency_penalty", ">= -2"),
        ({"repetition_penalty": 0}, "repetition_penalty", "> 0"),
        ({"logit_bias": {"a": 1}}, "logit_bias", "`int`"),
        ({"logit_bias": {"-1": 1}}, "logit_bias", ">= 0"),
        ({"logit_bias": {"1": 101}}, "logit_bias", "<= 100"),
        ({"skip_special_tokens": "no"}, "skip_special_tokens", "skip_special_tokens: "),
        ({"stop": ""}, "stop", "empty text"),
        ({"stop": ["a", ""]}, "stop", "empty text"),
        ({"stop": ["a"] * 17}, "stop", "at most 16"),
        ({"top_logprobs": 1}, "top_logprobs", "needs logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "<= 20"),
        ({"response_format": {"type": "xml"}}, "response_format", "'xml'"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema is missing"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}}, "response_format", "`int`"),
        ({"tools": [{"type": "web_search"}]}, "tools", "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools", "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]}, "tools", "`array`"),
        ({"tool_choice": "required"}, "tool_choice", "no tools"),
        ({"tools": [TOOL], "tool_choice": {"function": {"name": "other"}}}, "tool_choice", "'other'"),
        ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice", "'any'"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice", "tool_choice.function"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice", "tool_choice.allowed_tools"),
        ({"tools": [TOOL], "tool_choice": allowed([])}, "tool_choice", "is empty"),
        ({"tools": [TOOL], "tool_choice": allowed(["other"])}, "tool_choice", "'other'"),
        ({"functions": [{"name": "a"}]}, "functions", "Send tools"),
        ({"truncate_prompt_tokens": -1}, "truncate_prompt_tokens", "never cut"),
        ({"modalities": ["text", "audio"]}, "modalities", "text only"),
        ({"chat_template_kwargs": {"tokenize": False}}, "chat_template_kwargs", "tokenize cannot be set"),
        ({"chat_template_kwargs": 1}, "chat_template_kwargs", "`int`"),
        ({"role_mapping": {"user": 1}}, "role_mapping", "`int`"),
        ({"stream": "yes"}, "stream", "`str`"),
    ],
    ids=str,
)  # fmt: skip
async def test_a_refusal_names_the_field_and_what_is_wrong(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, fields: dict[str, Any], param: str, words: str
):
    reply = await chat(chat_client, **fields)
    error = reply.json()["error"]
    assert reply.status_code == 400
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_input", param)
    assert words in error["message"]
    assert not generator.submitted


@pytest.mark.parametrize("mode", ["auto", "required"])
async def test_allowed_tools_are_the_only_ones_that_the_model_sees(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, mode: str
):
    tools = [{"type": "function", "function": {"name": name}} for name in ("one", "two", "three")]

    reply = await chat(chat_client, tools=tools, tool_choice=allowed(["three", "one"], mode))

    assert reply.status_code == 200
    found = last_chat(generator)
    assert [tool.name for tool in found.tools] == ["one", "three"]
    assert (found.tool_choice, found.tool_name) == (mode, None)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("not json", "not json"),
        ('{"q": 1', '{"q": 1'),
        ("[1]", "[1]"),
        ('{"a":' * 5000, '{"a":' * 5000),
        ("", "{}"),
        (" ", "{}"),
        (None, "{}"),
        ({"q": 1}, '{"q":1}'),
    ],
    ids=["words", "cut", "list", "deep", "none", "space", "null", "object"],
)
async def test_what_a_model_has_called_is_shown_as_it_is(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, arguments: object, shown: str
):
    call = {"id": "c", "function": {"name": "look_up", "arguments": arguments}}
    reply = await chat(chat_client, messages=[{"role": "assistant", "tool_calls": [call]}, *HELLO])
    assert reply.status_code == 200
    assert last_chat(generator).messages[0].tool_calls[0].arguments == shown


@pytest.mark.parametrize(
    ("turn", "text", "reasoning"),
    [
        ({"role": "assistant", "content": None, "reasoning_content": "Hm."}, "", "Hm."),
        ({"role": "assistant", "content": None}, "", ""),
        ({"role": "assistant"}, "", ""),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, "No.", ""),
        ({"role": "assistant", "content": None, "refusal": "No."}, "No.", ""),
        ({"role": "tool", "tool_call_id": "c", "content": None}, "", ""),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "", ""),
    ],
)
async def test_history_is_not_judged_like_new_input(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, turn: dict[str, Any], text: str, reasoning: str
):
    reply = await chat(chat_client, messages=[*HELLO, turn, *HELLO])

    assert reply.status_code == 200, reply.text
    found = last_chat(generator).messages[1]
    assert "".join(part.text for part in found.content if isinstance(part, TextPart)) == text
    assert found.reasoning == reasoning
    assert len({call.id for call in found.tool_calls} - {""}) == len(found.tool_calls)


async def test_an_embedding_model_is_not_chatted_with(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    reply = await chat(chat_client, model=MODEL.id)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
    assert "/v1/embeddings" in reply.json()["error"]["message"]
    assert not generator.submitted


async def test_a_chat_model_does_not_embed(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    reply = await chat_client.post("/v1/embeddings", json={"model": CHAT_MODEL.id, "input": "a"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
    assert "/v1/chat/completions" in reply.json()["error"]["message"]
    assert not generator.submitted


async def test_a_model_announced_for_both_tasks_is_asked_for_both(connect: Connect):
    class Both(MemoryQueue):
        async def models(self):
            return (msgspec.structs.replace(MODEL, id=CHAT_MODEL.id), CHAT_MODEL)

    assert (await chat(connect(Both(models=(CHAT_MODEL,))))).status_code == 200


async def test_an_unknown_model_is_answered_404_with_what_there_is(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, model="other")
    assert reply.status_code == 404
    assert CHAT_MODEL.id in reply.json()["error"]["message"]
