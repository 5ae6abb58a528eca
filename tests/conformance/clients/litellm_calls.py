"""LiteLLM's providers that can be pointed at a base URL: chat, text completion, embeddings, reranking."""

import asyncio
import json
from typing import Any

import litellm
import pytest
from pydantic import BaseModel

from tests.conformance.clients import script
from tests.conformance.clients.script import CALL, CHAT, EMBEDDER, HELLO, RERANKER

litellm.suppress_debug_info = True
litellm.telemetry = False

OPENAI, OLLAMA, ANTHROPIC, COHERE = "/v1", "", "", "/v2/chat"
CHATS = {
    "openai": OPENAI,
    "custom_openai": OPENAI,
    "hosted_vllm": OPENAI,
    "litellm_proxy": OPENAI,
    "lm_studio": OPENAI,
    "llamafile": OPENAI,
    "docker_model_runner": OPENAI,
    "together_ai": OPENAI,
    "xinference": OPENAI,
    "deepinfra": OPENAI,
    "nvidia_nim": OPENAI,
    "ollama_chat": OLLAMA,
    "ollama": OLLAMA,
    "anthropic": ANTHROPIC,
    "cohere_chat": COHERE,
}
"""Where each provider's base is, behind the server's address."""

BEFORE = {"ollama": ("###", "User:")}
"""Words that LiteLLM puts before a message."""

COMPLETIONS = ("text-completion-openai", "hosted_vllm", "llamafile", "together_ai")
NO_TOOLS = ("ollama",)
"""LiteLLM itself writes tools into the prompt."""
NO_FORMAT = ("cohere_chat",)
"""LiteLLM takes no response_format for it: the provider's own is sent beside it."""

EMBEDDINGS = {
    "openai": "/v1",
    "openai_like": "/v1",
    "hosted_vllm": "/v1",
    "litellm_proxy": "/v1",
    "lm_studio": "/v1",
    "together_ai": "/v1",
    "xinference": "/v1",
    "nvidia_nim": "/v1",
    "infinity": "",
    "jina_ai": "/v1",
    "voyage": "/v1",
    "ollama": "",
    "cohere": "/v2/embed",
    "huggingface": "/embed",
}
RERANKINGS = {
    "cohere": "",
    "hosted_vllm": "",
    "infinity": "",
    "jina_ai": "",
    "together_ai": "/v1",
    "huggingface": "",
    "scaleway": "/v1",
    "litellm_proxy": "",
}

ONE_MODEL = ("huggingface",)
"""text-embeddings-inference serves one model, and requests name none."""
TEXTS_ALONE = ("infinity",)
"""infinity shows documents as texts, where all others on the same path have objects."""

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


class Person(BaseModel):
    name: str
    age: int


def asked(
    url: str, provider: str, base: str, model: str = CHAT, content: str = HELLO, **more: Any
) -> dict[str, Any]:
    messages = [{"role": "user", "content": content}]
    return {
        "model": f"{provider}/{model}",
        "api_base": url + base,
        "api_key": "unused",
        "max_retries": 0,
        "messages": messages,
        **more,
    }


every_chat = pytest.mark.parametrize(("provider", "base"), CHATS.items(), ids=CHATS)


@every_chat
def test_a_chat_is_answered_and_streamed(url: str, provider: str, base: str):
    reply = litellm.completion(**asked(url, provider, base))
    [choice] = reply.choices
    words = [*BEFORE.get(provider, ()), *HELLO.split()]
    assert (choice.message.content, choice.finish_reason) == (" ".join(words), "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (len(words), len(words))
    chunks = list(litellm.completion(**asked(url, provider, base, stream=True)))
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [text for text in texts if text] == [words[0], *(f" {word}" for word in words[1:])]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


@every_chat
def test_an_asynchronous_chat_is_streamed(url: str, provider: str, base: str):
    async def read() -> str:
        stream = await litellm.acompletion(**asked(url, provider, base, stream=True))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(read()).endswith(HELLO)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", [each for each in CHATS if each not in NO_TOOLS])
def test_a_tool_is_called_and_its_result_is_answered(url: str, provider: str, stream: bool):
    fields = asked(url, provider, CHATS[provider], content=CALL, tools=TOOLS)
    reply = litellm.completion(**fields, stream=stream)
    if stream:
        reply = litellm.stream_chunk_builder(list(reply))
    [choice] = reply.choices
    [call] = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "word"})
    fields["messages"] += [
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": "sunny"},
    ]
    assert litellm.completion(**fields).choices[0].message.content == "sunny"


@every_chat
def test_an_answer_is_an_object(url: str, provider: str, base: str):
    form: dict[str, Any] = {"response_format": Person}
    if provider in NO_FORMAT:
        own = {"type": "json_object", "json_schema": Person.model_json_schema()}
        form = {"extra_body": {"response_format": own}}
    reply = litellm.completion(**asked(url, provider, base, **form))
    assert Person.model_validate_json(reply.choices[0].message.content) == Person(name="word", age=7)


ERRORS = [
    (script.UNKNOWN, HELLO, litellm.NotFoundError, script.UNKNOWN),
    (script.full(CHAT), HELLO, litellm.RateLimitError, "queue is full"),
    (script.broken(CHAT), HELLO, litellm.InternalServerError, "Internal error"),
    (CHAT, script.TOO_LONG, litellm.ContextWindowExceededError, ""),
    (EMBEDDER, HELLO, litellm.BadRequestError, "embed"),
]
NO_CONTEXT_ERROR = ("anthropic", "ollama", "ollama_chat")
"""Where LiteLLM knows a full context by other words, if at all: a BadRequestError at least."""
STREAMING = ("openai", "hosted_vllm", "ollama", "ollama_chat", "anthropic", "cohere_chat")
"""One of each of LiteLLM's ways to ask."""


@pytest.mark.parametrize(
    ("model", "content", "kind", "said"), ERRORS, ids=[each[2].__name__ for each in ERRORS]
)
@every_chat
def test_an_error_is_litellms_own(
    url: str, provider: str, base: str, model: str, content: str, kind: type[Exception], said: str
):
    if kind is litellm.ContextWindowExceededError and provider in NO_CONTEXT_ERROR:
        kind = litellm.BadRequestError
    for stream in (False, True) if provider in STREAMING else (False,):
        with pytest.raises(kind, match=said):
            list(litellm.completion(**asked(url, provider, base, model, content, stream=stream)))


@pytest.mark.parametrize("provider", COMPLETIONS)
def test_a_text_is_completed_and_streamed(url: str, provider: str):
    fields = {"model": f"{provider}/{CHAT}", "api_base": f"{url}/v1", "api_key": "unused", "prompt": HELLO}
    assert litellm.text_completion(**fields).choices[0].text == HELLO
    chunks = list(litellm.text_completion(**fields, stream=True))
    assert "".join(chunk.choices[0].text or "" for chunk in chunks) == HELLO


every_embedding = pytest.mark.parametrize(("provider", "base"), EMBEDDINGS.items(), ids=EMBEDDINGS)


def embedded(url: str, provider: str, base: str, model: str = EMBEDDER) -> dict[str, Any]:
    more = {"input_type": "search_document"} if provider == "cohere" else {}
    more |= {"input_type": "feature-extraction"} if provider == "huggingface" else {}
    return {
        "model": f"{provider}/{model}",
        "api_base": url + base,
        "api_key": "unused",
        "max_retries": 0,
        "input": ["one", "two three"],
        **more,
    }


@every_embedding
def test_texts_are_embedded(url: str, sole_url: str, provider: str, base: str):
    url = sole_url if provider in ONE_MODEL else url
    reply = litellm.embedding(**embedded(url, provider, base))
    assert [len(each["embedding"]) for each in reply.data] == [script.SIZE] * 2
    again = asyncio.run(litellm.aembedding(**embedded(url, provider, base)))
    assert [each["embedding"] for each in again.data] == [each["embedding"] for each in reply.data]
    assert reply.usage.prompt_tokens > 0


@every_embedding
def test_an_error_of_embeddings_is_litellms_own(url: str, provider: str, base: str):
    if provider in ONE_MODEL:
        return
    with pytest.raises(litellm.NotFoundError, match=script.UNKNOWN):
        litellm.embedding(**embedded(url, provider, base, script.UNKNOWN))
    with pytest.raises(litellm.RateLimitError, match="queue is full"):
        litellm.embedding(**embedded(url, provider, base, script.full(EMBEDDER)))


every_reranking = pytest.mark.parametrize(("provider", "base"), RERANKINGS.items(), ids=RERANKINGS)


def ranked(url: str, provider: str, base: str, model: str = RERANKER, **more: Any) -> dict[str, Any]:
    return {
        "model": f"{provider}/{model}",
        "api_base": url + base,
        "api_key": "unused",
        "query": script.QUERY,
        "documents": script.DOCUMENTS,
        **more,
    }


@every_reranking
def test_documents_are_ranked(url: str, sole_url: str, provider: str, base: str):
    url = sole_url if provider in ONE_MODEL else url
    with_documents = provider not in TEXTS_ALONE
    reply = litellm.rerank(**ranked(url, provider, base, return_documents=with_documents))
    assert [(each["index"], each["relevance_score"]) for each in reply.results] == script.RANKING
    few = asyncio.run(
        litellm.arerank(**ranked(url, provider, base, top_n=2, return_documents=with_documents))
    )
    assert [each["index"] for each in few.results] == [1, 2]
    texts = [each["document"]["text"] for each in few.results if each.get("document")]
    assert texts in ([], [script.DOCUMENTS[index] for index in (1, 2)])


@every_reranking
def test_an_error_of_reranking_is_litellms_own(url: str, provider: str, base: str):
    if provider in ONE_MODEL:
        return
    with pytest.raises(litellm.NotFoundError, match=script.UNKNOWN):
        litellm.rerank(**ranked(url, provider, base, script.UNKNOWN))
    with pytest.raises(litellm.RateLimitError, match="queue is full"):
        litellm.rerank(**ranked(url, provider, base, script.full(RERANKER)))


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "litellm_proxy"])
def test_models_are_listed(url: str, provider: str):
    found = litellm.get_valid_models(
        custom_llm_provider=provider, api_base=f"{url}/v1", api_key="unused", check_provider_endpoint=True
    )
    assert any(CHAT in name for name in found)
