"""docs/parameters.md: it is what the code says, no client has a parameter that is not there, and what it says is so."""

import base64
import inspect
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import cohere
import httpx
import msgspec
import ollama._types
import openai.types.chat.completion_create_params
import openai.types.chat.completion_list_params
import openai.types.chat.completion_update_params
import openai.types.chat.completions.message_list_params
import openai.types.completion_create_params
import openai.types.embedding_create_params
import openai.types.vector_store_list_params
import openai.types.vector_store_search_params
import openai.types.vector_stores.file_list_params
import pytest
from anthropic.types.beta import message_create_params as beta
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsBase
from anthropic.types.model_list_params import ModelListParams
from PIL import Image

from api.requests.parameters import NoEffect, Refused
from tests.parameters import PAGE, Body, Call, absent, bodies, page
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.vectors.memory_collections import MemoryCollections
from tests.unit.api.conftest import Connect
from tests.unit.api.openapi.documented_api import DOCUMENTED, MODELS, STORE
from tests.unit.api.samples import sample

BODIES = bodies()
DIMENSIONS = MODEL.dimensions
PICTURES = msgspec.structs.replace(MODEL, id="PICTURES", abilities=("vision",))


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text() == page(), "run `python -m tests.parameters`"


def typed(dialect: str, endpoint: str, *params: type, **objects: type) -> Call:
    """params: typed dicts. objects: types of parameters whose fields are parameters, too."""
    names = {name for each in params for name in each.__annotations__}
    inner = {f"{name}.{field}" for name, each in objects.items() for field in each.__annotations__}
    return Call(dialect, endpoint, frozenset(names | inner))


def modelled(endpoint: str, request: type, *, options: bool = False) -> Call:
    """request: a pydantic model of Ollama's."""
    inner = ollama._types.Options.model_fields if options else ()  # pyright: ignore[reportPrivateUsage]
    outer = {name.removesuffix("_") for name in request.model_fields}  # from_ is sent as from
    names = {*outer, *(f"options.{name}" for name in inner)}
    return Call("ollama", endpoint, frozenset(names))


def called(endpoint: str, method: Callable[..., Any]) -> Call:
    """method: of Cohere's client; some of its parameters are the client's own."""
    own = {"self", "request_options", "batching", "offline", "accepts"}
    return Call("cohere", endpoint, frozenset(set(inspect.signature(method).parameters) - own))


_o = openai.types
_stream_options = openai.types.chat.ChatCompletionStreamOptionsParam
CALLS = (
    typed(
        "openai",
        "POST /v1/chat/completions",
        _o.chat.completion_create_params.CompletionCreateParamsStreaming,
        stream_options=_stream_options,
    ),
    typed(
        "openai",
        "POST /v1/completions",
        _o.completion_create_params.CompletionCreateParamsStreaming,
        stream_options=_stream_options,
    ),
    typed(
        "openai",
        "POST /v1/chat/completions/{completion_id}",
        _o.chat.completion_update_params.CompletionUpdateParams,
    ),
    typed(
        "openai",
        "GET /v1/chat/completions",
        _o.chat.completion_list_params.CompletionListParams,
    ),
    typed(
        "openai",
        "GET /v1/chat/completions/{completion_id}/messages",
        _o.chat.completions.message_list_params.MessageListParams,
    ),
    typed("openai", "POST /v1/embeddings", _o.embedding_create_params.EmbeddingCreateParams),
    typed(
        "openai",
        "POST /v1/vector_stores/{vector_store_id}/search",
        _o.vector_store_search_params.VectorStoreSearchParams,
    ),
    typed("openai", "GET /v1/vector_stores", _o.vector_store_list_params.VectorStoreListParams),
    typed(
        "openai",
        "GET /v1/vector_stores/{vector_store_id}/files",
        _o.vector_stores.file_list_params.FileListParams,
    ),
    typed("anthropic", "POST /v1/messages", beta.MessageCreateParamsBase, MessageCreateParamsBase),
    typed("anthropic", "POST /v1/messages/count_tokens", MessageCountTokensParams),
    typed("v1_models", "GET /v1/models", ModelListParams),
    modelled("POST /api/chat", ollama._types.ChatRequest, options=True),
    modelled("POST /api/generate", ollama._types.GenerateRequest, options=True),
    modelled("POST /api/embed", ollama._types.EmbedRequest),
    modelled("POST /api/embeddings", ollama._types.EmbeddingsRequest),
    modelled("POST /api/show", ollama._types.ShowRequest),
    modelled("POST /api/pull", ollama._types.PullRequest),
    modelled("POST /api/create", ollama._types.CreateRequest),
    modelled("POST /api/copy", ollama._types.CopyRequest),
    modelled("DELETE /api/delete", ollama._types.DeleteRequest),
    called("POST /v1/rerank", cohere.Client.rerank),
    called("POST /v2/rerank", cohere.ClientV2.rerank),
    called("POST /v1/embed", cohere.Client.embed),
    called("POST /v2/embed", cohere.ClientV2.embed),
    called("POST /v2/chat", cohere.ClientV2.chat),
    called("POST /v1/tokenize", cohere.Client.tokenize),
    called("POST /v1/detokenize", cohere.Client.detokenize),
)
ENDPOINTS = {endpoint for body in BODIES for endpoint in body.endpoints}


@pytest.mark.parametrize(
    "call",
    CALLS,
    ids=lambda call: f"{call.dialect} {call.endpoint}",
)
def test_no_parameter_of_a_client_is_absent(call: Call):
    assert absent(call) == []


def _picture() -> str:
    written = io.BytesIO()
    Image.new("RGB", (2, 2)).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


PICTURE = _picture()
BEGUN = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "It is"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
FIELDS: dict[str, dict[str, Any]] = {
    "ollama on": {"on": "all"},
    "image_url": {"image_url": f"data:image/png;base64,{PICTURE}", "model": "PICTURES"},
    "grammar": {"grammar": 'root ::= "a"'},
    "guided_grammar": {"guided_grammar": 'root ::= "a"'},
    "ebnf": {"ebnf": 'root ::= "a"'},
    "json_schema": {"json_schema": {"type": "object"}},
    "guided_json": {"guided_json": {"type": "object"}},
    "top_logprobs": {"top_logprobs": 1, "logprobs": True},
    "tool_choice": {"tool_choice": "auto", "tools": [TOOL]},
    "stream_options": {"stream_options": {"include_usage": True}, "stream": True},
    "dimensions": {"dimensions": DIMENSIONS},
    "after": {"after": "chatcmpl-" + "0" * 31},
    "modality": {"modality": "image", "input": [PICTURE], "model": "PICTURES"},
    "infinity_extra_modality": {"infinity_extra_modality": "image", "input": [PICTURE], "model": "PICTURES"},
    "continue_final_message": {"continue_final_message": True, "messages": BEGUN},
    "vllm continue_final_message": {"continue_final_message": True, "messages": BEGUN, "prompt": None},
    "vllm messages": {"messages": BEGUN, "prompt": None},
    "truncate_prompt_tokens": {"truncate_prompt_tokens": -1},
    "max_tokens_per_doc": {"max_tokens_per_doc": 4096},
    "anthropic tool_choice": {"tool_choice": {"type": "any"}, "tools": [{"name": "f", "input_schema": {}}]},
    "cohere rank_fields": {"rank_fields": ["a"], "documents": [{"a": "A whale."}]},
    "CohereV2Request rank_fields": {},
    "cohere images": {"images": [f"data:image/png;base64,{PICTURE}"], "texts": None, "model": "PICTURES"},
    "cohere inputs": {"inputs": [{"content": [{"type": "text", "text": "a"}]}], "texts": None},
    "cohere tool_choice": {"tool_choice": "REQUIRED", "tools": [TOOL]},
    "cohere response_format": {"response_format": {"type": "json_object"}},
    "output_dimension": {"output_dimension": DIMENSIONS},
    "truncation": {"truncation": True},
    "ollama parameters": {"parameters": {"temperature": 0.5}},
    "ollama format": {"format": "json"},
    "ollama images": {"images": [PICTURE]},
    **{f"vllm {name}": {name: "a", "text_1": None} for name in ("queries", "data_1")},
    **{f"vllm {name}": {name: "a", "text_2": None} for name in ("documents", "items", "data_2")},
}
"""What is sent for a parameter of any dialect, or of one, where a value that fits its type does not say it all."""


EXAMPLES: dict[str, dict[str, Any]] = {
    "TeiTokenizeRequest": {"model": "all-MiniLM-L6-v2", "inputs": "A meal."},
    "LlamaTokenizeRequest": {"model": "all-MiniLM-L6-v2", "content": "A meal."},
    "TeiInfoQuery": {"model": "all-MiniLM-L6-v2"},
    "PropsQuery": {"model": "CHAT-MODEL"},
}
"""Of those whose endpoint has no example of their own."""

OBJECTS: dict[str, dict[str, Any]] = {
    "thinking": {"type": "enabled"},
    "tool_choice": {"type": "function", "function": {"name": "f"}},
}
"""What else is in the object that a parameter is in."""


class Sent(NamedTuple):
    """A request that works, to which a parameter is added."""

    fields: Mapping[str, Any]
    headers: Mapping[str, str] = {}


CLIENTS = {
    "CohereV1Request": {"User-Agent": "cohere/7"},
    "VoyageRerankRequest": {"X-Voyage-Client-User-Agent": "{}"},
}
"""What tells whose request it is, where several share a path."""


def request_of(body: Body) -> Sent:
    endpoint = DOCUMENTED.endpoint_of(*body.endpoints[0].split(" "))
    example = EXAMPLES.get(body.shape.__name__, endpoint.example or {})
    return Sent(example, CLIENTS.get(body.shape.__name__, {}))


async def ask(client: httpx.AsyncClient, body: Body, fields: Mapping[str, Any]) -> httpx.Response:
    """fields: besides those of an example, or in their place."""
    sent = request_of(body)
    method, path = body.endpoints[0].split(" ")
    if "{completion_id}" in path:
        chat = {"model": "CHAT-MODEL", "messages": [{"role": "user", "content": "a"}], "store": True}
        stored = await client.post("/v1/chat/completions", json=chat)
        path = path.replace("{completion_id}", stored.json()["id"])
    path = re.sub(r"\{(\w+)\}", lambda match: STORE[match[1]], path)
    if method == "GET":
        given = {name: value for name, value in fields.items() if value}
        if "after" in given:
            given["after"] = (await client.get(path)).json()["first_id"] or given["after"]
        return await client.get(path, params=given)
    return await client.request(method, path, json={**sent.fields, **fields}, headers=dict(sent.headers))


def fields_of(body: Body) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Of each parameter what is sent, and the status that it has."""
    shape = msgspec.inspect.type_info(body.shape)
    assert isinstance(shape, msgspec.inspect.StructType)
    kinds = {each.encode_name: each.type for each in shape.fields}
    example = request_of(body).fields
    for name, treatment in body.parameters:
        outer, _, inner = name.partition(".")
        keys = (f"{body.shape.__name__} {outer}", f"{body.dialect} {outer}", outer)
        needed = next((FIELDS[key] for key in keys if key in FIELDS), {})
        if isinstance(treatment, Refused):
            yield name, 400, needed | within(name, "something")
            for taken in treatment.unless:
                yield name, 200, needed | within(name, taken)
        elif isinstance(treatment, NoEffect):
            fitting = ({} if inner else sample(kinds[name])) or {"some": ["thing"]}
            yield name, 200, needed if name in needed else needed | within(name, fitting)
        elif not inner:
            yield name, 200, needed or {name: example.get(name, sample(kinds[name]))}


def within(name: str, value: Any) -> dict[str, Any]:
    """name: with the object that it is in."""
    outer, _, inner = name.partition(".")
    return {outer: {**OBJECTS.get(outer, {}), inner: value} if inner else value}


def test_every_call_of_a_client_is_of_an_endpoint_that_is_there():
    assert [call.endpoint for call in CALLS if call.endpoint not in ENDPOINTS] == []


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body.dialect} {body.endpoints[0]}")
def test_what_works_is_not_tried_with_null(body: Body):
    """Null says nothing, and would be taken of any field."""
    works = {name for name, treatment in body.parameters if treatment is None}
    said = {name: fields for name, _, fields in fields_of(body) if name in works}
    assert [name for name, fields in said.items() if fields.get(name) is None] == []


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body.dialect} {body.endpoints[0]}")
async def test_each_parameter_does_what_the_page_says(connect: Connect, body: Body):
    client = connect(MemoryQueue((*MODELS, PICTURES)), collections=MemoryCollections())
    wrong: list[str] = []
    for name, status, fields in fields_of(body):
        reply = await ask(client, body, fields)
        if reply.status_code != status or (status == 400 and f"{name}: " not in reply.text):
            wrong.append(f"{name}: {fields}: {reply.status_code} {reply.text[:300]}")
    assert not wrong, "\n".join(wrong)
