"""Commands that try a running service out: one for each kind of model that is served."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

QUESTION = [{"role": "user", "content": "Tell me a story."}]
IMAGE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAHAAAABwAQAAAADum8nmAAAAGklEQVR42mP4jwIYRrmj3FHuKHeUO8odCC4AGeoaO/OAOlgAAAAA"
    "SUVORK5CYII="
)
"""A white square of 112 × 112 pixels."""


def curl_examples(url: str, models: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One command for each kind of request. models: as GET /v1/models lists them; the first one of a kind is asked."""
    asked: list[tuple[str, dict[str, Any]]] = []
    for model in models:
        for path, body in _requests(model):
            if (path, body) not in asked:
                asked.append((path, body))
                yield _curl(f"{url}{path}", {"model": model["id"], **body})


def _requests(model: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Those that suit a model: paths and bodies."""
    abilities = model.get("abilities") or ()
    match model.get("task"):
        case "embed":
            yield "/v1/embeddings", {"input": "Hello, world"}
            if "vision" in abilities:
                yield "/v1/embeddings", {"input": [{"image": IMAGE}]}
            if "multi_vector" in abilities:
                yield "/v1/rerank", {"query": "a young cat", "documents": ["a kitten", "a car"]}
        case "rerank":
            yield "/v1/rerank", {"query": "a young cat", "documents": ["a kitten", "a car"]}
        case "generate":
            yield "/v1/chat/completions", {"messages": QUESTION}
        case _:
            pass


def _curl(url: str, body: Mapping[str, Any]) -> str:
    return f"curl {url} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
