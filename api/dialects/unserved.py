"""Endpoints of other servers whose models are not served here: refused in their dialect's form, with what to do."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.tei.rerank import TEI_ERRORS
from api.errors import OPENAI_ERRORS, ErrorFormat
from api.openapi.operation import Operation
from api.route import add_route
from jobs.errors import InvalidInput


class Unserved(NamedTuple):
    """An endpoint that refuses whatever it gets."""

    path: str
    name: str
    """Of the operation in the OpenAPI document."""
    why: str
    errors_as: ErrorFormat = OPENAI_ERRORS


UNSERVED = (
    Unserved(
        "/classify",
        "classify",
        "Classifiers are not served. A reranker scores a query with documents: send them to /rerank or /score.",
    ),
    Unserved(
        "/predict",
        "predict",
        "Classifiers are not served. A reranker scores a query with texts: send them to /rerank.",
        TEI_ERRORS,
    ),
    Unserved(
        "/embed_all",
        "embed_all",
        "Vectors of single tokens are those of multi-vector models: send the texts to /v1/embeddings or /pooling.",
        TEI_ERRORS,
    ),
    Unserved(
        "/embed_sparse",
        "embed_sparse",
        "Sparse vectors are not made. Dense ones are: send the texts to /embed.",
        TEI_ERRORS,
    ),
    Unserved("/embeddings_audio", "embed_audio", "Sounds are not read. Send texts or images to /embeddings."),
)


class UnservedEndpoints(Dialect):
    """All of UNSERVED."""

    def add_routes(self, app: FastAPI) -> None:
        for each in UNSERVED:
            operation = Operation("POST", "unserved", {}, (InvalidInput,))
            add_route(app, each.path, _refusing(each), operation, each.errors_as)


def _refusing(unserved: Unserved) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        raise InvalidInput(unserved.why)

    refuse.__name__ = unserved.name
    refuse.__doc__ = f"Always refused. {unserved.why}"
    return refuse
