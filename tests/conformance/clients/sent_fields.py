"""Prints which fields LiteLLM, Voyage AI's and infinity's clients send to each endpoint, as JSON.

Run in the clients' own environment. Objects' fields have a point.
"""

import contextlib
import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
import litellm
import voyageai
from infinity_client.models import (
    ImageEmbeddingInput,
    OpenAIEmbeddingInputImage,
    OpenAIEmbeddingInputText,
    RerankInput,
)

from tests.conformance.clients.litellm_calls import CHATS, COMPLETIONS, EMBEDDINGS, RERANKINGS, TOOLS

ENDPOINTS = {
    "/v1/chat/completions": "openai POST /v1/chat/completions",
    "/v1/completions": "openai POST /v1/completions",
    "/v1/embeddings": "openai POST /v1/embeddings",
    "/embeddings": "openai POST /v1/embeddings",
    "/v1/messages": "anthropic POST /v1/messages",
    "/api/chat": "ollama POST /api/chat",
    "/api/generate": "ollama POST /api/generate",
    "/api/embed": "ollama POST /api/embed",
    "/v2/chat": "cohere POST /v2/chat",
    "/v2/embed": "cohere POST /v2/embed",
    "/v2/rerank": "cohere POST /v2/rerank",
    "/embed": "tei POST /embed",
}
"""By the path of a request, but for /rerank and /v1/rerank, whose fields tell, too."""
COHERES = {"rank_fields", "max_chunks_per_doc", "max_tokens_per_doc"}

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
VALUES: dict[str, Any] = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["x"],
    "tools": TOOLS,
    "tool_choice": "required",
    "functions": [TOOLS[0]["function"]],
    "function_call": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "logit_bias": {"1": 1},
    "logprobs": True,
    "parallel_tool_calls": False,
    "modalities": ["text"],
    "audio": {"voice": "a", "format": "wav"},
    "prediction": {"type": "content", "content": "a"},
    "metadata": {"user_id": "a"},
    "store": True,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "reasoning_effort": "high",
    "verbosity": "low",
    "user": "a",
    "service_tier": "auto",
    "safety_identifier": "a",
    "prompt_cache_key": "a",
    "prompt_cache_retention": "24h",
    "web_search_options": {},
    "context_management": {"edits": []},
    "encoding_format": "float",
    "input_type": "search_document",
    "truncation": True,
}
"""Of parameters that take no number."""
OWN = {"api_key", "args", "custom_llm_provider", "extra_headers", "kwargs", "max_retries", "self", "timeout"}
"""Parameters that are LiteLLM's, and no part of a request."""

found: dict[str, set[str]] = {}


def endpoint_of(path: str, names: set[str]) -> str | None:
    if path.endswith("/rerank") and path != "/v2/rerank":
        if "texts" in names:
            return "tei POST /rerank"
        if COHERES & names:
            return "cohere POST /v1/rerank"
        return "voyage POST /v1/rerank" if "top_k" in names else "jina POST /v1/rerank"
    return ENDPOINTS.get(path)


class Noting(BaseHTTPRequestHandler):
    """Refuses what it is sent, and notes its fields."""

    requests = 0

    def do_POST(self) -> None:
        Noting.requests += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        names = set(body)
        if endpoint := endpoint_of(self.path.partition("?")[0], names):
            inner = {
                f"{name}.{each}" for name, value in body.items() if isinstance(value, dict) for each in value
            }
            found.setdefault(endpoint, set()).update(names | inner)
        answer = b'{"error": {"message": "noted"}, "message": "noted", "detail": "noted"}'
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None: ...


def refused(call: Callable[..., Any], **fields: Any) -> None:
    with contextlib.suppress(Exception):
        list(call(**fields, api_key="unused", drop_params=True, max_retries=0))


def send_each(call: Callable[..., Any], names: set[str], fields: dict[str, Any]) -> None:
    """All numbers in one request, unless LiteLLM refuses that itself, and anything else in a request of its own."""
    alone = names & VALUES.keys()
    numbers = dict.fromkeys(names - alone, 1)
    before = Noting.requests
    refused(call, **{**fields, **numbers})
    if Noting.requests == before:
        alone = names
    for name in sorted(alone):
        more = {"tools": TOOLS} if name == "tool_choice" else {}
        refused(call, **{**fields, name: VALUES.get(name, 1), **more})


def chat_parameters(provider: str) -> Iterator[str]:
    """OpenAI's names of those that LiteLLM translates, and those that its configuration of the provider names."""
    yield from litellm.get_supported_openai_params("m", provider) or ()
    config = litellm.ProviderConfigManager.get_provider_chat_config("m", litellm.LlmProviders(provider))
    if config is not None:
        yield from inspect.signature(type(config).__init__).parameters


def send_litellms(url: str) -> None:
    messages = [{"role": "user", "content": "a"}]
    for provider, base in CHATS.items():
        fields = {"model": f"{provider}/m", "api_base": url + base, "messages": messages}
        send_each(litellm.completion, {*chat_parameters(provider)} - OWN, fields)
    for provider in COMPLETIONS:
        fields = {"model": f"{provider}/m", "api_base": f"{url}/v1", "prompt": "a"}
        names = {*inspect.signature(litellm.text_completion).parameters} - OWN - fields.keys()
        send_each(litellm.text_completion, names, fields)
    for provider, base in EMBEDDINGS.items():
        kind = "feature-extraction" if provider == "huggingface" else "search_document"
        fields = {"model": f"{provider}/m", "api_base": url + base, "input": ["a"], "input_type": kind}
        send_each(litellm.embedding, {"dimensions", "encoding_format", "user"}, fields)
    more = {"top_n": 1, "rank_fields": ["a"], "return_documents": True, "max_chunks_per_doc": 1}
    more |= {"max_tokens_per_doc": 4096, "instruction": "a"}
    for provider, base in RERANKINGS.items():
        for name, value in more.items():
            fields = {"model": f"{provider}/m", "api_base": url + base, "query": "a", "documents": ["b"]}
            refused(litellm.rerank, **{**fields, name: value})


def send_voyages(url: str) -> None:
    client = voyageai.Client(api_key="unused", base_url=f"{url}/v1")
    for call, fields in (
        (client.embed, {"texts": ["a"], "model": "m"}),
        (client.rerank, {"query": "a", "documents": ["b"], "model": "m"}),
    ):
        with contextlib.suppress(voyageai.error.VoyageError):
            call(**fields)


def note_infinitys() -> None:
    for endpoint, model in (
        ("jina POST /v1/rerank", RerankInput),
        ("openai POST /v1/embeddings", OpenAIEmbeddingInputText),
        ("openai POST /v1/embeddings", OpenAIEmbeddingInputImage),
        ("infinity POST /embeddings_image", ImageEmbeddingInput),
    ):
        names = {each.name.removesuffix("_") for each in attrs.fields(model)}
        found.setdefault(endpoint, set()).update(names - {"additional_properties"})


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with contextlib.redirect_stdout(sys.stderr):
        send_litellms(url)
        send_voyages(url)
        note_infinitys()
    server.shutdown()
    print(json.dumps({call: sorted(names) for call, names in found.items()}))


if __name__ == "__main__":
    main()
