"""Cohere's chat, second version, as its own client sees it."""

import inspect
import json
from collections.abc import AsyncIterator
from typing import Any

import cohere
import cohere.errors
import httpx
import pytest
from cohere.v2.client import V2Client
from cohere.v2.types import V2ChatResponse

from api.app import create_app
from api.dialects.cohere.chat import CohereChatRequest
from jobs import errors
from jobs.answer_format import JsonFormat
from jobs.content import ImagePart, TextPart
from jobs.generate import Choice, GenerateResult, Message, Piece, Pieces, ScoredToken, TokenLogprobs, ToolCall
from jobs.job import Lane
from jobs.settings import Settings
from tests.support.chat_requests import HELLO, last_chat, last_job
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MODEL, MemoryQueue

CLIENTS_OWN = {"self", "request_options"}
FUNCTION = {"name": "ask", "description": "d", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": FUNCTION}]
CHAT: dict[str, Any] = {"model": CHAT_MODEL.id, "messages": HELLO}
CALL = ToolCall("c1", "ask", '{"q": 1}')


class Scripted(MemoryQueue):
    """Answers with the one choice, whole and as a stream of the pieces."""

    def __init__(self, choice: Choice, *pieces: Piece, failure: errors.JobError | None = None) -> None:
        super().__init__(models=(CHAT_MODEL,))
        self._result = GenerateResult((choice,), prompt_tokens=10, cached_tokens=7)
        self._pieces, self._failure = pieces, failure

    async def wait(self, job_id: str, timeout_s: float) -> GenerateResult:
        return self._result

    async def stream(self, job_id: str, after: int = 0) -> AsyncIterator[tuple[int, Pieces]]:
        for number, piece in enumerate(self._pieces, 1):
            yield number, Pieces(10, 7, (piece,))
        if self._failure:
            raise self._failure


def client_of(queue: MemoryQueue) -> cohere.AsyncClientV2:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(queue, Settings())))
    return cohere.AsyncClientV2("none", base_url="http://mlxq", httpx_client=http)


@pytest.fixture
def co(generator: MemoryQueue) -> cohere.AsyncClientV2:
    return client_of(generator)


def scored(text: str, token: int) -> TokenLogprobs:
    return TokenLogprobs(ScoredToken(text, text.encode(), -0.5, token))


def test_every_parameter_of_the_client_is_known():
    taken = set(CohereChatRequest.__struct_fields__)
    assert set(inspect.signature(V2Client.chat).parameters) - CLIENTS_OWN <= taken


async def test_a_chat_is_answered(co: cohere.AsyncClientV2):
    reply = await co.chat(**CHAT)
    V2ChatResponse.model_validate(reply.model_dump(), strict=True)
    assert reply.id and reply.finish_reason == "COMPLETE" and reply.logprobs is None
    assert reply.message.role == "assistant" and reply.message.tool_calls is None
    assert [(item.type, item.text) for item in reply.message.content or ()] == [("text", "one two three")]  # pyright: ignore
    assert reply.usage and reply.usage.tokens and reply.usage.billed_units
    assert (reply.usage.tokens.input_tokens, reply.usage.tokens.output_tokens) == (3, 3)
    assert reply.usage.cached_tokens == 0


@pytest.mark.parametrize(
    ("finish", "stop", "told"),
    [
        ("stop", None, "COMPLETE"),
        ("stop", "END", "STOP_SEQUENCE"),
        ("length", None, "MAX_TOKENS"),
        ("tool_calls", "END", "TOOL_CALL"),
    ],
)
async def test_the_reply_says_why_it_ended(finish: Any, stop: str | None, told: str):
    calls = (CALL,) if finish == "tool_calls" else ()
    queue = Scripted(
        Choice("a", finish, 1, stop=stop, tool_calls=calls),
        Piece(text="a", tokens=(1,), tool_calls=calls, finish_reason=finish, stop=stop),
    )
    assert (await client_of(queue).chat(**CHAT)).finish_reason == told
    *_, last = [event async for event in client_of(queue).chat_stream(**CHAT)]
    assert last.type == "message-end" and last.delta and last.delta.finish_reason == told


async def test_thoughts_calls_and_what_is_before_them_have_their_places():
    queue = Scripted(Choice("I ask.", "tool_calls", 9, reasoning="Hm.", tool_calls=(CALL, CALL)))
    message = (await client_of(queue).chat(**CHAT, tools=TOOLS)).message  # pyright: ignore[reportArgumentType]
    assert message.tool_plan == "I ask."
    assert [(each.type, each.thinking) for each in message.content or ()] == [("thinking", "Hm.")]  # pyright: ignore
    assert [(call.id, call.type) for call in message.tool_calls or ()] == [("c1", "function")] * 2
    assert message.tool_calls
    function = message.tool_calls[0].function
    assert function and (function.name, function.arguments) == ("ask", '{"q": 1}')


async def test_an_empty_answer_is_an_empty_text():
    message = (await client_of(Scripted(Choice("", "stop", 1))).chat(**CHAT)).message
    assert [each.text for each in message.content or ()] == [""]  # pyright: ignore


async def test_log_probabilities_come_with_the_ids_of_their_tokens():
    special = TokenLogprobs(ScoredToken("<end>", b"<end>", -0.1, 9), hidden=True)
    queue = Scripted(Choice("a b", "stop", 3, logprobs=(scored("a", 5), scored(" b", 6), special)))
    reply = await client_of(queue).chat(**CHAT, logprobs=True)
    assert [(each.text, each.token_ids, each.logprobs) for each in reply.logprobs or ()] == [
        ("a", [5], [-0.5]),
        (" b", [6], [-0.5]),
    ]
    assert (await client_of(queue).chat(**CHAT)).logprobs is None


async def test_what_shapes_the_answer_is_in_the_job(co: cohere.AsyncClientV2, generator: MemoryQueue):
    await co.chat(
        **CHAT,
        max_tokens=9,
        stop_sequences=["END"],
        temperature=0.5,
        seed=7,
        frequency_penalty=0.25,
        presence_penalty=0.5,
        k=40,
        p=0.9,
        logprobs=True,
        priority=3,
        safety_mode="OFF",
        citation_options={"mode": "OFF"},  # pyright: ignore[reportArgumentType]
        response_format={"type": "json_object", "json_schema": {"type": "object"}},  # pyright: ignore
        thinking={"type": "enabled"},  # pyright: ignore[reportArgumentType]
    )
    job = last_job(generator)
    assert (job.max_tokens, job.stop, job.logprobs, job.n) == (9, ("END",), 0, 1)
    chosen = job.sampling
    assert (chosen.temperature, chosen.top_p, chosen.top_k, chosen.seed) == (0.5, 0.9, 40, 7)
    assert (chosen.frequency_penalty, chosen.presence_penalty) == (0.25, 0.5)
    assert job.format == JsonFormat('{"type":"object"}', "response_format")
    assert json.loads(last_chat(generator).template_options) == {"enable_thinking": True}
    assert generator.submitted[-1][1].lane == Lane.DEFAULT


async def test_defaults_are_coheres(co: cohere.AsyncClientV2, generator: MemoryQueue):
    reply = await co.chat(**CHAT, thinking={"type": "enabled"})  # pyright: ignore[reportArgumentType]
    chosen = last_job(generator).sampling
    assert (chosen.temperature, chosen.top_p, chosen.top_k, last_job(generator).max_tokens) == (
        0.3,
        0.75,
        0,
        None,
    )
    assert (reply.message.content or ())[0].thinking == THOUGHT  # pyright: ignore


@pytest.mark.parametrize("mode", ["CONTEXTUAL", "OFF", "NONE", None])
async def test_the_default_safety_mode_is_taken(generator: MemoryQueue, mode: str | None):
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(generator, Settings())))
    jobs: list[Any] = []
    for fields in ({}, {"safety_mode": mode}):
        assert (await http.post("http://mlxq/v2/chat", json={**CHAT, **fields})).status_code == 200
        jobs.append(last_job(generator))
    assert jobs[0] == jobs[1]


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonFormat()),
        ({"type": "json_object", "schema": {"type": "object"}}, JsonFormat('{"type":"object"}')),
    ],
)
async def test_an_answer_has_the_format_asked_for(
    co: cohere.AsyncClientV2, generator: MemoryQueue, given: Any, form: JsonFormat | None
):
    await co.chat(**CHAT, response_format=given)
    assert last_job(generator).format == form


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("auto", False)),
        ({"tool_choice": "REQUIRED", "strict_tools": True}, ("required", True)),
        ({"tool_choice": "NONE"}, ("none", False)),
    ],
)
async def test_tools_and_their_choice_are_in_the_job(
    co: cohere.AsyncClientV2, generator: MemoryQueue, fields: dict[str, Any], expected: tuple[str, bool]
):
    await co.chat(**CHAT, tools=TOOLS, **fields)  # pyright: ignore[reportArgumentType]
    chat = last_chat(generator)
    [tool] = chat.tools
    assert (chat.tool_choice, tool.strict) == expected
    assert (tool.name, tool.description, tool.parameters) == ("ask", "d", '{"type":"object"}')


async def test_messages_keep_what_they_hold(co: cohere.AsyncClientV2, generator: MemoryQueue):
    image = {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{OPAQUE_BASE64}", "detail": "high"},
    }
    text = {"type": "text", "text": "Look."}
    call = {"id": "c1", "type": "function", "function": {"name": "ask", "arguments": '{"q": 1'}}
    turns: Any = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [text, image]},
        {"role": "assistant", "tool_plan": "I ask.", "tool_calls": [call], "citations": [{"start": 0}]},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [text, {"type": "document", "document": {"data": {"a": "b", "n": [1]}, "id": "x"}}],
        },
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, text]},
        {"role": "user", "content": "Go on."},
    ]
    documents: Any = ["A lease lasts ten seconds.", {"data": {"title": "T", "text": "x"}, "id": "d7"}]
    await co.chat(model=CHAT_MODEL.id, messages=turns, documents=documents)
    look = TextPart("Look.")
    given = '<document id="x">\na: b\nn: [1]\n</document>\n'
    shown = (
        '<documents>\n<document id="doc:0">\nA lease lasts ten seconds.\n</document>\n'
        '<document id="d7">\ntitle: T\ntext: x\n</document>\n</documents>'
    )
    assert last_chat(generator).messages == (
        Message("system", (TextPart("Be kind."),)),
        Message("system", (TextPart(shown),)),
        Message("user", (look, ImagePart(OPAQUE))),
        Message("assistant", (TextPart("I ask."),), tool_calls=(ToolCall("c1", "ask", '{"q": 1'),)),
        Message("tool", (look, TextPart(given)), tool_call_id="c1"),
        Message("assistant", (look,), reasoning="Hm."),
        Message("user", (TextPart("Go on."),)),
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"messages": []}, "messages is empty"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, "messages[0].content[0].type"),
        ({"tool_choice": "REQUIRED"}, "tool_choice asks for a call"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {"tools": [{"type": "function", "function": {**FUNCTION, "name": "a b"}}]},
            "tools[0].function.name",
        ),
        ({"citation_options": {"mode": "ACCURATE"}}, "citation_options.mode"),
        ({"safety_mode": "STRICT"}, "safety_mode"),
        ({"thinking": {"type": "enabled", "token_budget": 9}}, "thinking.token_budget"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"response_format": {"type": "text", "json_schema": {}}}, "response_format"),
        ({"response_format": {"type": "json_object", "json_schema": {}, "schema": {}}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"temperature": -1}, "temperature"),
        ({"p": 1.5}, "p: "),
        ({"priority": -1}, "priority"),
        ({"model": MODEL.id}, MODEL.id),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    co: cohere.AsyncClientV2, generator: MemoryQueue, fields: dict[str, Any], told: str
):
    with pytest.raises(cohere.errors.BadRequestError) as refused:
        await co.chat(**{**CHAT, **fields})
    assert told in refused.value.body["message"] and list(refused.value.body) == ["message"]
    assert not generator.submitted


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.UnknownModel(), cohere.errors.NotFoundError),
        (errors.Overloaded(retry_after_s=7), cohere.errors.TooManyRequestsError),
        (errors.InternalError(), cohere.errors.InternalServerError),
        (errors.NoWorker(), cohere.errors.ServiceUnavailableError),
        (errors.TimeLimitExceeded(), cohere.errors.GatewayTimeoutError),
    ],
    ids=lambda value: getattr(value, "code", None),
)
async def test_errors_are_the_clients_own(error: errors.JobError, kind: type[Exception]):
    async def streamed(co: cohere.AsyncClientV2, **asked: Any) -> object:
        return [event async for event in co.chat_stream(**asked)]

    for call in (streamed, cohere.AsyncClientV2.chat):
        co = client_of(MemoryQueue(models=(CHAT_MODEL,), refusal=error))
        with pytest.raises(kind) as raised:
            await call(co, **CHAT, request_options={"max_retries": 0})
        assert raised.value.body == {"message": error.message}  # pyright: ignore


async def test_a_full_context_is_told_in_coheres_words():
    """LiteLLM knows it by them."""
    failing = MemoryQueue((CHAT_MODEL,), failure=errors.InputTooLong("Too long."))
    for text in ("too many tokens: ", "Too long."):
        with pytest.raises(cohere.errors.BadRequestError, match=text):
            await client_of(failing).chat(**CHAT)
