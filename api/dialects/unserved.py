"""Endpoints of other servers that are not served here: refused in their dialect's form, with what to do."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.tei.rerank import TEI_ERRORS
from api.errors import OPENAI_ERRORS, ErrorFormat, RequestError
from api.openapi.operation import Operation
from api.route import add_route
from jobs.errors import InvalidInput, JobError


class Unserved(NamedTuple):
    """An endpoint that refuses whatever it gets."""

    path: str
    name: str
    """Of the operation in the OpenAPI document."""
    why: str
    errors_as: ErrorFormat = OPENAI_ERRORS
    method: Literal["GET", "POST"] = "POST"
    refusal: type[JobError | RequestError] = InvalidInput

    def add_to(self, app: FastAPI) -> None:
        """Its route."""
        operation = Operation(self.method, "unserved", {}, (self.refusal,))
        add_route(app, self.path, self._endpoint(), operation, self.errors_as)

    def _endpoint(self) -> Callable[[Request], Awaitable[Response]]:
        async def refuse(request: Request) -> Response:
            raise self.refusal(self.why)

        refuse.__name__ = self.name
        refuse.__doc__ = f"Always refused. {self.why}"
        return refuse


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
            each.add_to(app)
