"""Cohere's own clients in Python, of both versions."""

import json
from collections.abc import Callable
from typing import Any

import cohere
import pytest

from tests.conformance.clients import script
from tests.conformance.clients.script import CALL, CHAT, EMBEDDER, HELLO, RERANKER

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.fixture
def v1(url: str) -> Any:
    return cohere.Client("unused", base_url=url, max_retries=0)


@pytest.fixture
def v2(url: str) -> Any:
    return cohere.ClientV2("unused", base_url=url, max_retries=0)


def asked(content: str = HELLO, **more: Any) -> dict[str, Any]:
    return {"model": CHAT, "messages": [{"role": "user", "content": content}], **more}


def text_of(reply: Any) -> str:
    return "".join(part.text for part in reply.message.content)


def test_a_chat_is_answered_with_its_usage(v2: Any):
    reply = v2.chat(**asked())
    assert (text_of(reply), reply.finish_reason) == (HELLO, "COMPLETE")
    assert (reply.usage.tokens.input_tokens, reply.usage.tokens.output_tokens) == (3, 3)


async def test_a_chat_is_streamed_with_its_usage(url: str, v2: Any):
    def check(events: list[Any]) -> None:
        texts = [event.delta.message.content.text for event in events if event.type == "content-delta"]
        assert texts == ["one", " two", " three"]
        assert (events[0].type, events[-1].type) == ("message-start", "message-end")
        assert events[-1].delta.usage.tokens.output_tokens == 3

    check(list(v2.chat_stream(**asked())))
    client = cohere.AsyncClientV2("unused", base_url=url, max_retries=0)
    check([event async for event in client.chat_stream(**asked())])


def test_a_tool_is_called_and_its_result_is_answered(v2: Any):
    first = v2.chat(**asked(CALL, tools=TOOLS))
    [call] = first.message.tool_calls
    assert first.finish_reason == "TOOL_CALL"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "word"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    messages = [*asked(CALL)["messages"], first.message, result]
    assert text_of(v2.chat(model=CHAT, messages=messages, tools=TOOLS)) == "sunny"


def test_a_streamed_call_comes_together(v2: Any):
    events = list(v2.chat_stream(**asked(CALL, tools=TOOLS)))
    begun, grown = [
        [event.delta.message.tool_calls.function for event in events if event.type == f"tool-call-{kind}"]
        for kind in ("start", "delta")
    ]
    assert [call.name for call in begun] == ["weather"]
    assert json.loads("".join(call.arguments for call in [*begun, *grown])) == {"city": "word"}
    assert events[-1].delta.finish_reason == "TOOL_CALL"


def test_an_answer_is_an_object(v2: Any):
    form = {"type": "json_object", "json_schema": PERSON}
    assert json.loads(text_of(v2.chat(**asked(response_format=form)))) == {"name": "word", "age": 7}
    events = v2.chat_stream(**asked(response_format=form))
    texts = [event.delta.message.content.text for event in events if event.type == "content-delta"]
    assert json.loads("".join(texts)) == {"name": "word", "age": 7}


def test_texts_are_embedded_by_both_versions(v1: Any, v2: Any):
    fields: dict[str, Any] = {"texts": ["one", "two"], "model": EMBEDDER, "input_type": "search_document"}
    first = v1.embed(**fields).embeddings
    second = v2.embed(**fields, embedding_types=["float", "int8", "base64"]).embeddings
    assert [len(vector) for vector in first] == [script.SIZE] * 2
    assert second.float_[0] == pytest.approx(first[0])
    assert [len(vector) for vector in second.int8] == [script.SIZE] * 2


def test_documents_are_ranked_by_both_versions(v1: Any, v2: Any):
    for client in (v1, v2):
        found = client.rerank(model=RERANKER, query=script.QUERY, documents=script.DOCUMENTS)
        assert [(each.index, each.relevance_score) for each in found.results] == script.RANKING


def test_models_are_listed(v1: Any):
    assert CHAT in [model.name for model in v1.models.list().models]


ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"model": script.UNKNOWN}, cohere.NotFoundError, "none"),
    ({"model": script.full(CHAT)}, cohere.TooManyRequestsError, "queue is full"),
    ({"model": script.broken(CHAT)}, cohere.InternalServerError, "Internal error"),
    ({"temperature": -1}, cohere.BadRequestError, "temperature"),
    (asked(script.TOO_LONG), cohere.BadRequestError, "too many tokens"),
]
WAYS: dict[str, Callable[..., Any]] = {
    "whole": lambda client, fields: client.chat(**fields),
    "stream": lambda client, fields: list(client.chat_stream(**fields)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("fields", "kind", "said"), ERRORS, ids=[kind.__name__ for _, kind, _ in ERRORS])
def test_an_error_is_the_clients_own_and_says_what_is_wrong(
    v2: Any, way: str, fields: dict[str, Any], kind: type[Exception], said: str
):
    with pytest.raises(kind) as raised:
        WAYS[way](v2, {**asked(), **fields})
    assert said in raised.value.body["message"]


def test_errors_of_embeddings_and_rankings_are_the_clients_own(v1: Any, v2: Any):
    for client in (v1, v2):
        fields: dict[str, Any] = {
            "texts": ["one"],
            "input_type": "search_query",
            "embedding_types": ["float"],
        }
        with pytest.raises(cohere.NotFoundError):
            client.embed(model=script.UNKNOWN, **fields)
        with pytest.raises(cohere.BadRequestError):
            client.rerank(model=RERANKER, query="a", documents=[])
