"""LangChain's chat classes and embeddings of OpenAI, Anthropic and Ollama."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import anthropic
import httpx
import ollama
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from tests.conformance.clients import script
from tests.conformance.clients.script import CALL, CHAT, EMBEDDER, HELLO


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int
    nicknames: list[str]


PERSON = Person(name="word", age=7, nicknames=["word"])


@tool
def weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"sunny in {city}"


def of_openai(url: str, model: str, **more: Any) -> BaseChatModel:
    return ChatOpenAI(
        base_url=f"{url}/v1", api_key="unused", model=model, max_retries=0, stream_usage=True, **more
    )


def of_anthropic(url: str, model: str, **more: Any) -> BaseChatModel:
    return ChatAnthropic(base_url=url, api_key="unused", model=model, max_retries=0, max_tokens=500, **more)


def of_ollama(url: str, model: str, **more: Any) -> BaseChatModel:
    return ChatOllama(base_url=url, model=model, **more)


class Kind(NamedTuple):
    """A chat class, and what it raises."""

    make: Callable[..., BaseChatModel]
    methods: tuple[str, ...]
    unknown: type[Exception]
    full: type[Exception]
    bad: type[Exception]
    broken: type[Exception]
    wrong: Mapping[str, Any]
    """A setting that is refused, by its own name."""


KINDS = {
    "openai": Kind(
        of_openai,
        ("json_schema", "function_calling", "json_mode"),
        openai.NotFoundError,
        openai.RateLimitError,
        openai.BadRequestError,
        openai.InternalServerError,
        {"presence_penalty": 9},
    ),
    "anthropic": Kind(
        of_anthropic,
        ("json_schema", "function_calling"),
        anthropic.NotFoundError,
        anthropic.RateLimitError,
        anthropic.BadRequestError,
        anthropic.InternalServerError,
        {"top_p": 9},
    ),
    "ollama": Kind(
        of_ollama,
        ("json_schema", "function_calling", "json_mode"),
        ollama.ResponseError,
        ollama.ResponseError,
        ollama.ResponseError,
        ollama.ResponseError,
        {"keep_alive": "soon"},
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def chat(kind: Kind, url: str) -> BaseChatModel:
    return kind.make(url, CHAT)


def test_a_chat_is_answered_with_its_usage(chat: BaseChatModel):
    reply = chat.invoke([SystemMessage("be kind"), HumanMessage(HELLO)])
    assert reply.text == HELLO
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (5, 3)


def test_a_chat_is_streamed_with_its_usage(chat: BaseChatModel):
    chunks = list(chat.stream(HELLO))
    assert [chunk.text for chunk in chunks if chunk.text] == ["one", " two", " three"]
    whole = sum(chunks[1:], chunks[0])
    assert (whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"]) == (3, 3)


async def test_an_asynchronous_chat_is_answered_and_streamed(chat: BaseChatModel):
    assert (await chat.ainvoke(HELLO)).text == HELLO
    assert "".join([chunk.text async for chunk in chat.astream(HELLO)]) == HELLO


def test_chats_are_answered_as_a_batch(chat: BaseChatModel):
    assert [reply.text for reply in chat.batch(["one", "two", "three four"])] == ["one", "two", "three four"]


def test_a_tool_is_called_and_its_result_is_answered(chat: BaseChatModel):
    agent = chat.bind_tools([weather])
    first = agent.invoke(CALL)
    [call] = first.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "word"})
    result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])  # pyright: ignore
    assert agent.invoke([HumanMessage(CALL), first, result]).text == "sunny in word"


def test_a_streamed_call_comes_together(chat: BaseChatModel):
    chunks: list[AIMessageChunk] = list(chat.bind_tools([weather]).stream(CALL))
    whole = sum(chunks[1:], chunks[0])
    [call] = whole.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "word"})
    assert whole.invalid_tool_calls == []


@pytest.mark.parametrize("choice", ["any", "weather"])
@pytest.mark.parametrize("name", ["openai", "anthropic"])  # Ollama's protocol has no such choice
def test_a_call_is_forced(url: str, name: str, choice: str):
    reply = KINDS[name].make(url, CHAT).bind_tools([weather], tool_choice=choice).invoke(HELLO)
    assert [call["name"] for call in reply.tool_calls] == ["weather"]


@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name, kind in KINDS.items() for method in kind.methods]
)
def test_an_answer_is_an_object(url: str, name: str, method: str):
    chat = KINDS[name].make(url, CHAT)
    if method == "json_mode":  # any object, read by the caller
        assert chat.with_structured_output(None, method=method).invoke(HELLO) == {}
        return
    structured = chat.with_structured_output(Person, method=method)
    assert structured.invoke(CALL) == PERSON
    assert list(structured.stream(CALL))[-1] == PERSON


def test_a_picture_is_seen(chat: BaseChatModel):
    picture = {"type": "image", "base64": script.PIXEL, "mime_type": "image/png"}
    reply = chat.invoke([HumanMessage([{"type": "text", "text": "what?"}, picture])])
    assert sorted(reply.text.split()) == ["<image>", "what?"]


def test_thoughts_are_apart_from_the_answer(url: str):
    reply = of_ollama(url, CHAT, reasoning=True).invoke(HELLO)
    assert (reply.text, reply.additional_kwargs["reasoning_content"]) == (HELLO, "Hm.")
    thinking = {"type": "enabled", "budget_tokens": 1024}
    blocks = of_anthropic(url, CHAT, thinking=thinking, max_tokens_to_sample=2000).invoke(HELLO).content
    assert [block["type"] for block in blocks] == ["thinking", "text"]


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("case", ["unknown", "full", "broken", "bad"])
def test_an_error_is_the_classs_own_and_says_what_is_wrong(url: str, kind: Kind, case: str, how: str):
    model = {"unknown": script.UNKNOWN, "full": script.full(CHAT), "broken": script.broken(CHAT)}.get(
        case, CHAT
    )
    said = {
        "unknown": script.UNKNOWN,
        "full": "queue is full",
        "broken": "Internal error",
        "bad": next(iter(kind.wrong)),
    }[case]
    chat = kind.make(url, model, **(kind.wrong if case == "bad" else {}))
    with pytest.raises(getattr(kind, case), match=said):
        list(chat.stream(HELLO)) if how == "stream" else chat.invoke(HELLO)


@pytest.mark.parametrize("make", [of_openai, of_anthropic])  # Ollama's class has no such error
def test_a_prompt_that_is_too_long_is_known_as_such(url: str, make: Callable[..., BaseChatModel]):
    with pytest.raises(ContextOverflowError):
        make(url, CHAT).invoke(script.TOO_LONG)
    with pytest.raises(ContextOverflowError):
        list(make(url, CHAT).stream(script.TOO_LONG))


def test_tokens_are_counted_by_the_model(url: str):
    assert of_anthropic(url, CHAT).get_num_tokens_from_messages([HumanMessage(HELLO)]) == 3


def test_a_text_is_completed(url: str):
    completion = OpenAI(base_url=f"{url}/v1", api_key="unused", model=CHAT, max_retries=0)
    assert completion.invoke(HELLO) == HELLO
    assert "".join(completion.stream(HELLO)) == HELLO


def embeddings(url: str) -> list[Any]:
    return [
        OpenAIEmbeddings(
            base_url=f"{url}/v1",
            api_key="unused",
            model=EMBEDDER,
            check_embedding_ctx_length=False,
            max_retries=0,
        ),
        OllamaEmbeddings(base_url=url, model=EMBEDDER),
    ]


async def test_texts_are_embedded(url: str):
    found = []
    for embedder in embeddings(url):
        vectors = embedder.embed_documents(["one", "two"])
        assert [len(vector) for vector in vectors] == [script.SIZE] * 2
        assert embedder.embed_query("two") == pytest.approx(vectors[1])
        assert (await embedder.aembed_documents(["one"]))[0] == pytest.approx(vectors[0])
        found.append(vectors[0])
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_errors_of_embeddings_are_the_classs_own(url: str):
    of_openai, of_ollama = embeddings(url)
    with pytest.raises(openai.NotFoundError, match=script.UNKNOWN):
        of_openai.model_copy(update={"model": script.UNKNOWN}).embed_query("one")
    with pytest.raises(openai.RateLimitError, match="queue is full"):
        of_openai.model_copy(update={"model": script.full(EMBEDDER)}).embed_query("one")
    with pytest.raises(ollama.ResponseError, match=script.UNKNOWN):
        of_ollama.model_copy(update={"model": script.UNKNOWN}).embed_query("one")


def test_ollamas_model_is_looked_for_when_it_is_made(url: str):
    assert ChatOllama(base_url=url, model=CHAT, validate_model_on_init=True).invoke(HELLO).text == HELLO
    with pytest.raises((ValueError, httpx.HTTPError), match=script.UNKNOWN):
        ChatOllama(base_url=url, model=script.UNKNOWN, validate_model_on_init=True)
