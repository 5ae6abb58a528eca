"""OpenAI's dialect: /v1/embeddings, and its form of /v1/models."""

from typing import Any, Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.callers import is_voyage_client
from api.dialects.dialect import Dialect, json_response
from api.dialects.openai.embedding import EmbeddingReply, EmbeddingRequest, embed_job, encode_embeddings
from api.dialects.voyage.errors import VOYAGE_ERRORS
from api.dialects.voyage.marks import is_voyage_embedding
from api.errors import OPENAI_ERRORS
from api.openapi.operation import work
from api.requests.body import decode_body
from api.requests.sole_model import with_model
from api.route import add_route, answer_errors_as
from api.work.terms import terms_of
from jobs.models import ModelInfo


class ModelFields(msgspec.Struct, frozen=True, kw_only=True):
    """Of OpenAI's model object, with what a caller must know to use the model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    task: str
    dimensions: int
    min_dimensions: int | None
    max_tokens: int
    prompts: tuple[str, ...]
    abilities: tuple[str, ...]


class ModelReply(ModelFields, frozen=True, kw_only=True):
    owned_by: Literal["mlxq"] = "mlxq"


class ModelListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ModelReply]


_EMBED = work(
    "openai",
    EmbeddingRequest,
    EmbeddingReply,
    example={"model": "all-MiniLM-L6-v2", "input": ["A meal.", "A rocket."]},
)

# Voyage's clients send OpenAI's body with fields of their own.
_ERRORS = OPENAI_ERRORS._replace(shapes=(*OPENAI_ERRORS.shapes, *VOYAGE_ERRORS.shapes))

_decoder = msgspec.json.Decoder(EmbeddingRequest)


class OpenAI(Dialect):
    """/v1/embeddings, and the answers to /v1/models in OpenAI's form."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/embeddings", self.create_embeddings, _EMBED, _ERRORS)

    async def create_embeddings(self, request: Request) -> Response:
        """One vector per input, now, or a job's id with `Prefer: respond-async`."""
        is_voyages = is_voyage_client(request.headers)
        if is_voyages:
            answer_errors_as(request, VOYAGE_ERRORS)
        raw = await self.read_raw(request)
        if not is_voyages and is_voyage_embedding(raw):
            answer_errors_as(request, VOYAGE_ERRORS)
        asked, terms = decode_body(_decoder, raw), terms_of(request, self.context.settings)
        if is_voyages:
            asked = asked.as_voyages()
        queue, settings, images, *_ = self.context
        asked = await with_model(asked, queue, "embed")
        job = await embed_job(asked, settings.max_inputs, queue, images)
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_embeddings(done[0].result, asked.model, asked.form),
            asked.encoding_format,
        )

    async def list_models(self, request: Request) -> Response:
        """Every model that jobs are taken for, also while no worker serves it."""
        models = await self.context.queue.models()
        return json_response(
            msgspec.json.encode(ModelListReply(data=[_model_reply(info) for info in models]))
        )

    async def retrieve_model(self, request: Request) -> Response:
        """One model; its id may contain slashes."""
        info = await self.context.queue.model(request.path_params["model_id"])
        return json_response(msgspec.json.encode(_model_reply(info)))


def model_fields(info: ModelInfo) -> dict[str, Any]:
    """Those of ModelFields that are a model's own."""
    names = ("id", "created", "task", "dimensions", "min_dimensions", "max_tokens", "prompts", "abilities")
    return {name: getattr(info, name) for name in names}


def _model_reply(info: ModelInfo) -> ModelReply:
    return ModelReply(**model_fields(info))
