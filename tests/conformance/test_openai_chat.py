"""What OpenAI's own client sees of chat and text completions; a fake that echoes does the work."""

import base64
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from jobs.errors import InternalError, NoWorker, Overloaded, TimeLimitExceeded
from jobs.generate import Piece, Pieces
from tests.conformance.conftest import Serve, serving
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MODEL, MemoryQueue

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two three"}]
TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("look_up", "ask")
]


def client_of(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0)


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with serving(MemoryQueue(models=(MODEL, CHAT_MODEL))) as base_url, client_of(base_url) as client:
        yield client


def chat(client: openai.OpenAI, **fields: Any):
    return client.chat.completions.create(**{"model": CHAT_MODEL.id, "messages": HELLO, **fields})


def complete(client: openai.OpenAI, **fields: Any):
    return client.completions.create(**{"model": CHAT_MODEL.id, "prompt": "one two three", **fields})


def test_a_chat_is_answered(client: openai.OpenAI):
    reply = chat(client)
    assert reply.object == "chat.completion"
    assert reply.model == CHAT_MODEL.id
    [choice] = reply.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "one two three")
    assert (choice.finish_reason, choice.message.tool_calls, choice.logprobs) == ("stop", None, None)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (3, 3, 6)
    assert reply.usage.prompt_tokens_details.cached_tokens == 0


def test_every_message_type_of_the_client_is_read(client: openai.OpenAI):
    messages: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "And kind."}]},
        {"role": "user", "content": "Look.", "name": "al"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "found", "tool_call_id": "c"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "and"},
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;base64,{base64.b64encode(b'png').decode()}", "detail": "low"},
                },
            ],
        },
    ]  # fmt: skip
    reply = chat(client, messages=messages, tools=TOOLS)
    assert reply.choices[0].message.content == "and <image>"
    assert reply.usage.prompt_tokens_details.cached_tokens == 6


def test_several_answers_are_cut_and_stopped(client: openai.OpenAI):
    reply = chat(client, n=2, max_completion_tokens=2)
    assert [(choice.index, choice.message.content) for choice in reply.choices] == [
        (0, "one two"),
        (1, "one two"),
    ]
    assert reply.choices[1].finish_reason == "length"
    assert chat(client, stop=" three").choices[0].message.content == "one two"


def test_a_forced_call_is_parsed(client: openai.OpenAI):
    reply = chat(client, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "ask"}})
    [choice] = reply.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    [call] = choice.message.tool_calls
    assert (call.type, call.function.name, call.function.arguments) == ("function", "ask", "{}")


def test_a_reply_with_calls_can_be_sent_back_as_it_is(client: openai.OpenAI):
    reply = chat(client, tools=TOOLS, tool_choice="required")
    message = reply.choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "so"} for call in message.tool_calls]
    assert chat(client, messages=[*HELLO, message, *results], tools=TOOLS).choices[0].message.content == "so"


def test_logprobs_are_parsed(client: openai.OpenAI):
    reply = chat(client, logprobs=True, top_logprobs=3)
    tokens = reply.choices[0].logprobs.content
    assert [token.token for token in tokens] == ["one", " two", " three"]
    assert [chance.logprob for chance in tokens[0].top_logprobs] == [-0.5, -1.5, -2.5]
    assert bytes(tokens[1].bytes) == b" two"


def test_json_comes_where_it_is_asked_for(client: openai.OpenAI):
    schema = {"name": "any", "strict": True, "schema": {"type": "object"}}
    for response_format in ({"type": "json_object"}, {"type": "json_schema", "json_schema": schema}):
        assert chat(client, response_format=response_format).choices[0].message.content == "{}"


def test_the_clients_parse_helper_works(client: openai.OpenAI):
    class Anything(pydantic.BaseModel):
        word: str = "none"

    reply = client.chat.completions.parse(model=CHAT_MODEL.id, messages=HELLO, response_format=Anything)
    assert reply.choices[0].message.parsed == Anything()


def test_what_is_not_openais_goes_as_extra_body(client: openai.OpenAI):
    extra = {
        "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "repetition_context_size": 10, "enable_thinking": True,
        "chat_template_kwargs": {"x": 1}, "role_mapping": {"user": "Q: "}, "keep_alive": "5m",
    }  # fmt: skip
    message = chat(client, extra_body=extra).choices[0].message
    assert message.model_extra["reasoning_content"] == THOUGHT


def test_a_chat_is_streamed(client: openai.OpenAI):
    chunks = list(chat(client, stream=True))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    found = [chunk.choices[0] for chunk in chunks]
    assert [choice.delta.content for choice in found] == ["", "one", " two", " three", None]
    assert [choice.delta.role for choice in found] == ["assistant", None, None, None, None]
    assert [choice.finish_reason for choice in found] == [None, None, None, None, "stop"]
    assert {chunk.system_fingerprint for chunk in chunks} == {chat(client).system_fingerprint}
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_ends_with_the_usage_where_it_is_asked_for(client: openai.OpenAI):
    *chunks, last = list(chat(client, stream=True, n=2, stream_options={"include_usage": True}))
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 6)
    assert all(chunk.usage is None for chunk in chunks)


def test_the_clients_stream_helper_puts_a_reply_together(client: openai.OpenAI):
    with client.chat.completions.stream(
        model=CHAT_MODEL.id, messages=HELLO, tools=TOOLS, tool_choice="required", n=2
    ) as stream:
        reply: Any = stream.get_final_completion()
    for choice in reply.choices:
        assert [call.function.name for call in choice.message.tool_calls] == ["look_up", "ask"]
        assert choice.finish_reason == "tool_calls"

    with client.chat.completions.stream(
        model=CHAT_MODEL.id, messages=HELLO, logprobs=True, top_logprobs=1
    ) as stream:
        reply = stream.get_final_completion()
    assert reply.choices[0].message.content == "one two three"
    assert len(reply.choices[0].logprobs.content) == 3


async def test_the_asynchronous_client_streams_the_same(client: openai.OpenAI):
    async with openai.AsyncOpenAI(base_url=str(client.base_url), api_key="unused") as asynchronous:
        stream = await asynchronous.chat.completions.create(model=CHAT_MODEL.id, messages=HELLO, stream=True)
        texts = [chunk.choices[0].delta.content async for chunk in stream]
    assert texts == ["", "one", " two", " three", None]


def test_prompts_are_completed_in_their_order(client: openai.OpenAI):
    reply = complete(client, prompt=["a b", "c"], n=2, best_of=2)
    assert reply.object == "text_completion"
    assert [(choice.index, choice.text) for choice in reply.choices] == [
        (0, "a b"),
        (1, "a b"),
        (2, "c"),
        (3, "c"),
    ]
    assert complete(client, prompt=[7, 8], echo=True).choices[0].text == "7 87 8"


def test_logprobs_of_a_completion_are_parsed(client: openai.OpenAI):
    found = complete(client, logprobs=1).choices[0].logprobs
    assert found.tokens == ["one", " two", " three"]
    assert found.token_logprobs == [-0.5] * 3
    assert found.top_logprobs[1] == {" two": -0.5}
    assert found.text_offset == [0, 3, 7]


def test_completions_are_streamed(client: openai.OpenAI):
    *chunks, last = list(
        complete(client, prompt=["a b", "c"], stream=True, stream_options={"include_usage": True})
    )
    texts = {0: "", 1: ""}
    for chunk in chunks:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == {0: "a b", 1: "c"}
    assert last.usage.total_tokens == 6


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "param"),
    [({"temperature": 3}, "temperature"), ({"messages": []}, "messages"), ({"model": MODEL.id}, "model")],
    ids=str,
)
def test_a_bad_field_is_a_bad_request(
    client: openai.OpenAI, stream: bool, fields: dict[str, Any], param: str
):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, stream=stream, **fields)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found(client: openai.OpenAI, stream: bool):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model="no-such-model", stream=stream)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_over_the_context_is_a_bad_request(client: openai.OpenAI, stream: bool):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, messages=[{"role": "user", "content": "word " * 5000}], stream=stream)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Overloaded(), openai.RateLimitError),
        (NoWorker(), openai.InternalServerError),
        (InternalError(), openai.InternalServerError),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_a_fault_of_the_service_is_raised_as_such(
    serve: Serve, stream: bool, error: Any, kind: type[Exception]
):
    with client_of(serve(MemoryQueue(models=(CHAT_MODEL,), refusal=error))) as client, pytest.raises(kind):
        chat(client, stream=stream)


def test_an_error_on_the_way_is_raised_by_the_client(serve: Serve):
    class Breaking(MemoryQueue):
        async def stream(self, job_id: str, after: int = 0):
            yield 1, Pieces(1, 0, (Piece(text="one", tokens=(1,)),))
            raise TimeLimitExceeded

    with client_of(serve(Breaking(models=(CHAT_MODEL,)))) as client:
        chunks = iter(chat(client, stream=True))
        assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["", "one"]
        with pytest.raises(openai.APIError) as caught:
            next(chunks)
    assert caught.value.code == "time_limit_exceeded"


def test_a_generator_is_listed_with_its_abilities(client: openai.OpenAI):
    found = client.models.retrieve(CHAT_MODEL.id).model_dump()
    assert (found["task"], found["abilities"]) == ("generate", ["vision", "tools", "reasoning"])
