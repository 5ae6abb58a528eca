"""Requests and replies checked against Qdrant's own API document."""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DOCUMENT = Path(__file__).parents[2] / "integration" / "ingest" / "qdrant_api.json"
"""The parts of https://github.com/qdrant/qdrant/tree/master/docs/redoc/v1.19.x that the store answers (Apache-2.0)."""


@cache
def _document() -> dict[str, Any]:
    return json.loads(DOCUMENT.read_text())


@cache
def _registry() -> Registry[Any]:
    return Registry().with_resource("urn:qdrant", Resource(contents=_document(), specification=DRAFT4))


def _template(path: str) -> str | None:
    """The document's path that this one is an instance of; the one with the fewest parameters."""
    for template in sorted(_document()["paths"], key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return template
    return None


def _faults(schema: Any, value: Any, where: str) -> Iterable[str]:
    pointed = json.loads(json.dumps(schema).replace('"#/', '"urn:qdrant#/'))
    for error in OAS30Validator(pointed, registry=_registry()).iter_errors(value):
        yield f"{where}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


def faults(method: str, path: str, request: bytes, status: int, reply: bytes) -> list[str]:
    """What the document does not allow of a request and its reply."""
    template = _template(path)
    if template is None or method.lower() not in _document()["paths"][template]:
        return [f"{method} {path} is not in the document"]
    described = _document()["paths"][template][method.lower()]
    found: list[str] = []
    if "requestBody" in described:
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        found += _faults(schema, json.loads(request), f"{method} {template}: request")
    if status == 200:
        schema = described["responses"]["200"]["content"]["application/json"]["schema"]
        found += _faults(schema, json.loads(reply), f"{method} {template}: reply")
    return found


class Recorder:
    """An ASGI application in front of another one: checks what goes through it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.faults: list[str] = []
        self.seen: set[tuple[str, str]] = set()
        """Method and path (the document's) of the requests that were answered 200."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, status, reply = bytearray(), 0, bytearray()

        async def reading() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            reply.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, reading, sending)
        method, path = scope["method"], scope["path"]
        self.faults += faults(method, path, bytes(body), status, bytes(reply))
        if status == 200 and (template := _template(path)):
            self.seen.add((method, template))
