"""Endpoints of Ollama's that are answered 501, with what to do instead."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api.errors import NotServed
from api.openapi.operation import Operation

_NO_FILES = (
    "Files of models are not sent here. `mlxq pull` brings a model onto a machine, from a hub or a folder."
)


class Unserved(NamedTuple):
    """An endpoint that refuses whatever it gets."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    """Of the operation in the OpenAPI document."""
    why: str

    @property
    def operation(self) -> Operation:
        return Operation(self.method, "unserved", {}, (NotServed,))


UNSERVED = (
    Unserved(
        "POST",
        "/api/push",
        "ollama_push",
        "Models are not pushed from here. Upload the model's folder with the tools of its hub.",
    ),
    Unserved(
        "POST",
        "/v1/systemone",
        "ollama_systemone",
        "System One models are not served. Ask a chat model in the format of a JSON schema, or a reranker.",
    ),
    Unserved("POST", "/api/blobs/{digest}", "ollama_send_blob", _NO_FILES),
    Unserved("GET", "/api/blobs/{digest}", "ollama_find_blob", _NO_FILES),
)
"""Ollama's program asks for a blob by HEAD, which goes where GET does."""


def refusing(unserved: Unserved) -> Callable[[Request], Awaitable[Response]]:
    """Its endpoint."""

    async def refuse(request: Request) -> Response:
        raise NotServed(unserved.why)

    refuse.__name__ = unserved.name
    refuse.__doc__ = f"Always refused. {unserved.why}"
    return refuse
