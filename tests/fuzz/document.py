"""The API's document, narrowed so that fuzzing it takes little time: models that are there, few and short answers."""

from collections.abc import Collection
from typing import Any

import msgspec

from api.dialects.ollama.options import OllamaOptions
from api.requests.parameters import Refused, parameters_of
from tests.fuzz.collection import NAME
from tests.fuzz.models import EMBEDDER, GENERATOR, PAGES, RERANKER
from tests.parameters import shapes

MODELS = {
    "EmbeddingRequest": EMBEDDER,
    "EmbedJobRequest": EMBEDDER,
    "ChatRequest": GENERATOR,
    "ChatJobRequest": GENERATOR,
    "CompletionRequest": GENERATOR,
    "CompletionJobRequest": GENERATOR,
    "MessagesRequest": GENERATOR,
    "CountRequest": GENERATOR,
    "OllamaChatRequest": GENERATOR,
    "OllamaGenerateRequest": GENERATOR,
    "OllamaEmbedRequest": EMBEDDER,
    "OllamaEmbeddingsRequest": EMBEDDER,
    "OllamaPullRequest": "/nowhere",  # refused: others would be asked for at the model hub
    "ShowRequest": GENERATOR,
    "JinaRequest": RERANKER,
    "RerankJobRequest": RERANKER,
    "CohereV1Request": RERANKER,
    "CohereV2Request": RERANKER,
    "TeiRequest": RERANKER,
    "TeiEmbedRequest": EMBEDDER,
    "CohereEmbedRequest": EMBEDDER,
    "CohereChatRequest": GENERATOR,
    "CohereTokenizeRequest": GENERATOR,
    "CohereDetokenizeRequest": GENERATOR,
    "VoyageRerankRequest": RERANKER,
    "ScoreRequest": RERANKER,
    "TokenizeRequest": GENERATOR,
    "LlamaTokenizeRequest": GENERATOR,
    "DetokenizeRequest": GENERATOR,
    "TeiTokenizeRequest": EMBEDDER,
    "TeiDecodeRequest": EMBEDDER,
    "TeiSimilarityRequest": EMBEDDER,
    "PoolingRequest": EMBEDDER,
    "ImagesRequest": PAGES,
    "SimilarityMapsRequest": PAGES,
}
"""By the class of the request."""
MAX_TOKENS = {"type": "integer", "minimum": 1, "maximum": 8}
LIMITS: dict[str, dict[str, Any]] = {
    "max_tokens": MAX_TOKENS,
    "max_completion_tokens": MAX_TOKENS,
    "n": {"type": "integer", "minimum": 1, "maximum": 2},
}
FILLED = {
    "messages",
    "input",
    "inputs",
    "prompt",
    "tokens",
    "ids",
    "query",
    "documents",
    "texts",
    "text_1",
    "text_2",
}
"""Fields that are there in every request that has them, and whose lists and texts are not empty."""
EXCLUDING = {
    "suffix", "queries", "data_1", "items", "data_2", "best_of", "truncate_prompt_tokens", "stream_options", "store",
    "modality", "infinity_extra_modality", "continue_final_message", "allowed_token_ids", "stop_token_ids",
    "min_tokens", "prompt_logprobs",
}  # fmt: skip
"""Fields that are nearly always refused, or exclude others."""
TOOL_NAME = {"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,8}$"}
KEYED = {"create_embeddings", "create_job", "create_message"}
"""Where Idempotency-Key is sent: the fuzzer's few keys come again with other work, which is refused."""


def narrowed(document: dict[str, Any], searched: str) -> dict[str, Any]:
    """A copy. What a fuzzer sends against the schema is as wide as ever. searched: id of the document to be found."""
    found = msgspec.json.decode(msgspec.json.encode(document))
    components = found["components"]["schemas"]
    read = list(shapes())
    for shape in {OllamaOptions, *(shape for _, shape in read)}:
        for name in _refused(shape):
            if shape.__name__ in components:
                components[shape.__name__]["properties"].pop(name, None)
    for field in ("inputs", "images", "max_tokens", "output_dimension"):
        components["CohereEmbedRequest"]["properties"].pop(field, None)  # refused, or by that model
    components["TokenizeRequest"]["properties"].pop("messages")  # it excludes prompt
    components["OllamaPullRequest"]["properties"].pop("name")  # another name of model
    for name, model in MODELS.items():
        _narrow_request(components[name], model)
    components["OllamaOptions"]["properties"]["num_predict"] = MAX_TOKENS
    image = {"type": "string", "enum": [_example(found, "/v1/similarity-maps")["image"]]}
    for name, field, schema in (
        ("FunctionSpec", "name", TOOL_NAME),
        ("AnthropicTool", "name", TOOL_NAME),
        ("NamedFunction", "name", TOOL_NAME),
        ("ImageUrl", "url", image),
        ("TextOrImage", "image", image),
        ("SimilarityMapsRequest", "image", image),
        ("ImagesRequest", "input", {"type": "array", "items": image, "minItems": 1, "maxItems": 2}),
        ("ContentPart", "type", {"enum": ["text", "image_url"]}),
    ):
        components[name]["properties"][field] = schema
    components["ChatMessage"]["required"] = ["role", "content"]
    _fill(components["ChatMessage"]["properties"]["content"])
    _fill(components["TextOrImage"]["properties"]["text"])
    components["TextOrImage"]["required"] = ["text"]
    components["ChatJobRequest"]["properties"]["stream"] = {"type": "boolean", "enum": [True]}
    components["ChatJobRequest"]["required"] += ["stream"]
    _narrow_searches(components)
    refused = {endpoint: _refused(shape) for endpoint, shape in read if endpoint.startswith("GET ")}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _narrow_parameters(operation, searched, refused.get(f"{method.upper()} {path}", ()))
    return found


def _refused(shape: type[msgspec.Struct]) -> list[str]:
    return [name for name, treatment in parameters_of(shape) if isinstance(treatment, Refused)]


def _narrow_searches(components: dict[str, Any]) -> None:
    search = components["SearchRequest"]["properties"]
    del search["image"]  # the collection has none
    search["collections"] = {"type": "array", "items": {"enum": [NAME]}, "maxItems": 2}
    search["rerank_model"] = {"type": "string", "enum": ["", RERANKER]}
    del components["VectorSearchRequest"]["properties"]["filters"]
    components["RankingOptions"]["properties"]["ranker"] = {"type": "string", "enum": ["auto", RERANKER]}
    for name in ("SearchRequest", "VectorSearchRequest"):
        _fill(components[name]["properties"]["query"])
        components[name]["required"] = ["query"]


def _narrow_request(component: dict[str, Any], model: str) -> None:
    properties = component["properties"]
    for field in EXCLUDING & properties.keys():
        del properties[field]
    if "text_2" in properties:
        del properties["documents"]  # another name of it
    properties["model"] = {"type": "string", "enum": [model]}
    component["required"] = sorted({"model", *component.get("required", ()), *(FILLED & properties.keys())})
    properties |= {field: LIMITS[field] for field in LIMITS.keys() & properties.keys()}
    for field in FILLED & properties.keys():
        _fill(properties[field])


def _fill(schema: dict[str, Any]) -> None:
    kinds = [each for each in schema.get("anyOf", [schema]) if each != {"type": "null"}]
    if "anyOf" in schema:
        schema["anyOf"] = kinds
    for kind in kinds:
        if kind.get("type") == "string":
            kind["minLength"] = 1
        elif kind.get("type") == "array":
            kind["minItems"] = 1
            _fill(kind["items"])


def _narrow_parameters(operation: dict[str, Any], searched: str, refused: Collection[str]) -> None:
    there = {
        "collection": NAME,
        "vector_store_id": NAME,
        "document": searched,
        "file_id": searched,
        "page": 2,
    }
    keyed = operation["operationId"] in KEYED
    left_out = {*refused, *(() if keyed else ("Idempotency-Key",))}
    kept = [each for each in operation["parameters"] if each["name"] not in left_out]
    for parameter in kept:
        if parameter["name"] == "wait":
            parameter["schema"]["maximum"] = 1
        if parameter["name"] in there:
            parameter["schema"]["enum"] = [there[parameter["name"]]]
    operation["parameters"] = kept


def _example(document: dict[str, Any], path: str) -> dict[str, Any]:
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
