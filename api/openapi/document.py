"""The OpenAPI 3.1 document, made from the routes: what each takes, answers, and refuses."""

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol

from api.errors import FINAL, LATER, ErrorFormat, status_of
from api.openapi.operation import ErrorClass, Operation
from api.openapi.schemas import COMPONENTS, Schema, Schemas, described

_TAGS = {
    "openai": "OpenAI's dialect: embeddings, chat, text completion, models.",
    "anthropic": "Anthropic's dialect: chat.",
    "cohere": "Cohere's dialect: chat.",
    "ollama": "Ollama's dialect: chat, prompts, models.",
    "rerank": "Documents by how well they answer a query, in the dialects of Jina, Cohere, "
    "text-embeddings-inference and vLLM.",
    "embeddings": "Texts as vectors, in the dialects of text-embeddings-inference and Cohere.",
    "tokens": "Texts as tokens and tokens as texts, in the dialects of vLLM, text-embeddings-inference and llama.cpp.",
    "llamacpp": "What llama.cpp's server has besides OpenAI's dialect.",
    "unserved": "Endpoints of other servers whose models are not served: they say what to use.",
    "pages": "Pages of documents, seen by a model with several vectors.",
    "search": "Collections of ingested documents, and finding a page in them.",
    "jobs": "The same work as jobs that are asked for later.",
    "health": "How the service is.",
}
_PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "job_id": {
        "description": "The id of a job.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    },
    "completion_id": {
        "description": "The id of a stored chat.",
        "schema": {"type": "string", "pattern": "^chatcmpl-[A-Za-z0-9_-]{1,64}$"},
    },
    "model_id": {
        "description": "The id of a model; slashes in it may be sent as they are.",
        "schema": {"type": "string", "minLength": 1},
    },
    "digest": {
        "description": "The SHA-256 of a file.",
        "schema": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    },
    "collection": {
        "description": "The name of a collection.",
        "schema": {"type": "string", "minLength": 1},
    },
    "document": {
        "description": "The id of a document: the SHA-256 of its content.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "page": {
        "description": "The number of a page; the first is 1.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "vector_store_id": {
        "description": "The name of a collection.",
        "schema": {"type": "string", "minLength": 1},
    },
    "file_id": {
        "description": "The id of a document: the SHA-256 of its content.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
}
_PATH_PARAMETER = re.compile(r"\{(\w+)(:\w+)?\}")

_JOB_ADDRESS = {"description": "The job's address.", "schema": {"type": "string"}}
_HEADERS_OF_STREAM = {
    "Location": _JOB_ADDRESS,
    "X-Job-Id": {"description": "The job's id.", "schema": {"type": "string"}},
}
_HEADERS_OF_ACCEPTED = {
    "Location": {**_JOB_ADDRESS, "required": True},
    "Preference-Applied": {
        "description": "What of `Prefer` was heeded.",
        "schema": {"type": "string"},
    },
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
}
_SHOULD_RETRY = {
    "X-Should-Retry": {
        "description": "`false` where trying again would be of no use.",
        "schema": {"type": "string", "enum": ["false"]},
    }
}


class DocumentedRoute(Protocol):
    """What the document is made from: api.route.DirectRoute."""

    path: str
    endpoint: Callable[..., Any]
    """Its name is the operation's id, and its docstring the operation's description."""
    operation: Operation
    errors_as: ErrorFormat


class _Documented(NamedTuple):
    """A route, and its path as the document writes it."""

    path: str
    """Without the types of its parameters."""
    route: DocumentedRoute

    @property
    def operation(self) -> Operation:
        return self.route.operation


def document(routes: Sequence[DocumentedRoute]) -> dict[str, Any]:
    """The document as JSON has it. Takes about 50 ms, so keep it."""
    shown = [_Documented(_PATH_PARAMETER.sub(r"{\1}", route.path), route) for route in routes]
    schemas = _schemas_of(shown)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for each in shown:
        paths[each.path][each.operation.method.lower()] = _operation(each, schemas)
    tags = {each.operation.tag for each in shown}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mlxq",
            "version": version("mlxq"),
            "description": "Job-queue batch engine for MLX models.",
        },
        "tags": [{"name": name, "description": said} for name, said in _TAGS.items() if name in tags],
        "paths": dict(paths),
        "components": {"schemas": schemas.components},
    }


def _schemas_of(shown: Sequence[_Documented]) -> Schemas:
    """The schemas of all types that the routes name."""
    read = [shape for each in shown for shape in each.operation.body]
    written = [shape for each in shown for shapes in each.operation.replies.values() for shape in shapes]
    errors = [shape for each in shown for shape in each.route.errors_as.shapes]
    streamed = [each.operation.stream.item for each in shown if each.operation.stream]
    return Schemas(read, [*written, *errors, *streamed])


def _operation(each: _Documented, schemas: Schemas) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(each.route.endpoint.__doc__ or "").partition("\n")
    operation = each.operation
    found: dict[str, Any] = {
        "tags": [operation.tag],
        "operationId": each.route.endpoint.__name__,
        "summary": summary,
        "parameters": _parameters(each),
        "responses": _responses(each, schemas),
    }
    if description.strip():
        found["description"] = description.strip()
    if operation.body:
        content: dict[str, Any] = {"schema": schemas.one_of(operation.body)}
        if operation.example is not None:
            content["example"] = dict(operation.example)
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    return found


def _parameters(each: _Documented) -> list[dict[str, Any]]:
    names = [match[1] for match in _PATH_PARAMETER.finditer(each.route.path)]
    found = [{"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]} for name in names]
    if each.operation.query is not None:
        found += _query_parameters(each.operation.query)
    found += [
        {"name": name, "in": "header", "description": said, "schema": dict(schema)}
        for name, said, schema in each.operation.headers
    ]
    return found


def _query_parameters(shape: type) -> list[dict[str, Any]]:
    _, components = described([shape])
    return [
        {"name": name, "in": "query", "schema": _unwrapped(schema, components)}
        for name, schema in components[shape.__name__]["properties"].items()
    ]


def _unwrapped(schema: Schema, components: dict[str, Schema]) -> Schema:
    """A parameter's schema in place; one that may be null is just not sent."""
    [kind] = [kind for kind in schema.get("anyOf", [schema]) if kind != {"type": "null"}]
    if "$ref" in kind:
        kind = components[kind["$ref"].removeprefix(COMPONENTS)]
    default = {"default": schema["default"]} if schema.get("default") is not None else {}
    return {**kind, **default}


def _responses(each: _Documented, schemas: Schemas) -> dict[str, Any]:
    operation = each.operation
    found: dict[str, Any] = {}
    for status in operation.replies:
        found[str(status)] = _reply(status, each, schemas)
    raised: dict[int, list[ErrorClass]] = defaultdict(list)
    for cls in operation.raises:
        raised[status_of(cls)].append(cls)
    envelope = schemas.one_of(each.route.errors_as.shapes)
    for status, classes in sorted(raised.items()):
        found[str(status)] = _refusal(classes, envelope)
    return found


def _reply(status: int, each: _Documented, schemas: Schemas) -> dict[str, Any]:
    operation = each.operation
    content: dict[str, Any] = {}
    if operation.replies[status]:
        content["application/json"] = {"schema": schemas.one_of(operation.replies[status])}
    if status == HTTPStatus.ACCEPTED:
        return {
            "description": "A job, to be asked for later.",
            "headers": _HEADERS_OF_ACCEPTED,
            "content": content,
        }
    reply: dict[str, Any] = {"description": HTTPStatus(status).phrase, "content": content}
    if status == HTTPStatus.OK and operation.file:
        content[operation.file] = {"schema": {"type": "string", "format": "binary"}}
    if status == HTTPStatus.OK and operation.stream:
        streamed = {
            # Without a type: some readers take it for the text of the whole stream, some for that of one event.
            "schema": {"description": operation.stream.description},
            "x-item-schema": schemas.one_of([operation.stream.item, *each.route.errors_as.shapes]),
        }
        content |= dict.fromkeys(operation.stream.media_types, streamed)
        reply["headers"] = _HEADERS_OF_STREAM
    return reply


def _refusal(classes: Sequence[ErrorClass], envelope: dict[str, Any]) -> dict[str, Any]:
    """classes: of errors with one status."""
    lines = {cls.code: f"- `{cls.code}`: {_first_line(cls)}" for cls in classes}
    headers: dict[str, Any] = {}
    if all(issubclass(cls, LATER) for cls in classes):
        headers |= _RETRY_AFTER
    if any(issubclass(cls, FINAL) for cls in classes):
        headers |= _SHOULD_RETRY
    refusal: dict[str, Any] = {
        "description": "\n".join(lines.values()),
        "content": {"application/json": {"schema": envelope}},
    }
    return refusal | ({"headers": headers} if headers else {})


def _first_line(cls: ErrorClass) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
