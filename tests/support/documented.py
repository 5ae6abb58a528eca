"""The API's OpenAPI document, held against replies."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import httpx
from jsonschema import Draft202012Validator

JSON = "application/json"


class Endpoint(NamedTuple):
    """An operation of the document. said: what the document says of it."""

    method: str
    path: str
    said: dict[str, Any]

    @property
    def streams(self) -> bool:
        """Whether it may answer with a stream."""
        content = self.said["responses"].get("200", {}).get("content", {})
        return any("x-item-schema" in each for each in content.values())

    @property
    def example(self) -> Any:
        return self.said.get("requestBody", {}).get("content", {}).get(JSON, {}).get("example")


class Documented:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @cached_property
    def endpoints(self) -> list[Endpoint]:
        paths = self.document["paths"]
        return [Endpoint(verb.upper(), path, said) for path in paths for verb, said in paths[path].items()]

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], Endpoint]]:
        # A model's id may have slashes, nothing else.
        names = [
            re.sub(r"\{\w+\}", "[^/]+", each.path.replace("{model_id}", ".+")) for each in self.endpoints
        ]
        return [(re.compile(name), each) for name, each in zip(names, self.endpoints, strict=True)]

    def endpoint_of(self, method: str, path: str) -> Endpoint:
        """The one that answers such a request."""
        for pattern, endpoint in self._patterns:
            if endpoint.method == method and pattern.fullmatch(path):
                return endpoint
        raise AssertionError(f"{method} {path} is not documented")

    def check(self, reply: httpx.Response) -> None:
        """Status, media type, required headers and body are as documented."""
        request = reply.request
        endpoint = self.endpoint_of(request.method, request.url.path)
        where = f"{endpoint.method} {endpoint.path}: {reply.status_code} {reply.text[:500]}"
        assert str(reply.status_code) in endpoint.said["responses"], where
        said = endpoint.said["responses"][str(reply.status_code)]
        for name, header in said.get("headers", {}).items():
            assert name in reply.headers or not header.get("required"), (where, name)
        if not said.get("content"):
            assert not reply.content, where
            return
        media_type = reply.headers["content-type"]
        assert media_type in said["content"], (where, media_type)
        content = said["content"][media_type]
        if media_type == JSON:
            self.validate(reply.json(), content["schema"])
        elif "x-item-schema" in content:
            for item in items_of(reply.text, media_type):
                self.validate(item, content["x-item-schema"])

    def validate(self, body: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole).validate(body)


def items_of(text: str, media_type: str) -> Iterator[Any]:
    """The JSON of each event of a stream."""
    if media_type == "application/x-ndjson":
        yield from map(json.loads, text.splitlines())
        return
    for line in text.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))
