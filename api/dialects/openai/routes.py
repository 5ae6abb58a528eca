"""OpenAI's dialect: /v1/embeddings and /v1/models."""

from typing import Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.mlxq.job_reply import accepted_response
from api.dialects.openai.embedding import EmbeddingRequest, embed_job
from api.dialects.openai.embedding_reply import EmbeddingReply, encode_embeddings
from api.openapi.operation import reading, work
from api.requests.body import decode_body, read_body
from api.requests.images import ImageSource
from api.route import add_route
from api.work.models import served_model
from api.work.queue import Queue
from api.work.wait import Accepted, perform
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.models import ModelInfo
from jobs.settings import Settings


class ModelReply(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's model object, with what a caller must know to use the model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["mlxq"] = "mlxq"
    task: str
    dimensions: int
    min_dimensions: int | None
    max_tokens: int
    prompts: tuple[str, ...]
    abilities: tuple[str, ...]


class ModelListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ModelReply]


_EMBED = work(
    "openai",
    EmbeddingRequest,
    EmbeddingReply,
    example={"model": "all-MiniLM-L6-v2", "input": ["A meal.", "A rocket."]},
)


class OpenAI:
    """images: who looks at pictures; None where nobody does."""

    def __init__(self, queue: Queue, settings: Settings, images: ImageSource | None) -> None:
        self._queue = queue
        self._settings = settings
        self._images = images
        self._decoder = msgspec.json.Decoder(EmbeddingRequest)

    def add_routes(self, app: FastAPI) -> None:
        retrieve = reading("openai", ModelReply, InvalidInput, UnknownModel, NoWorker)
        add_route(app, "/v1/embeddings", self.create_embeddings, _EMBED)
        add_route(app, "/v1/models", self.list_models, reading("openai", ModelListReply))
        add_route(app, "/v1/models/{model_id:path}", self.retrieve_model, retrieve)

    async def create_embeddings(self, request: Request) -> Response:
        """One vector per input, now, or a job's id with `Prefer: respond-async`."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._decoder, raw)
        job = await embed_job(asked, self._settings.max_inputs, self._queue, self._images)
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome, asked.encoding_format)
        body = await encode_embeddings(outcome.result, asked.model, asked.form)
        return Response(body, media_type="application/json")

    async def list_models(self, request: Request) -> Response:
        """Every model that a live worker serves."""
        reply = ModelListReply(data=[_model_reply(info) for info in await self._queue.models()])
        return Response(msgspec.json.encode(reply), media_type="application/json")

    async def retrieve_model(self, request: Request) -> Response:
        """One model; its id may contain slashes."""
        info = await served_model(self._queue, request.path_params["model_id"])
        return Response(msgspec.json.encode(_model_reply(info)), media_type="application/json")


def _model_reply(info: ModelInfo) -> ModelReply:
    return ModelReply(
        id=info.id,
        created=info.created,
        task=info.task,
        dimensions=info.dimensions,
        min_dimensions=info.min_dimensions,
        max_tokens=info.max_tokens,
        prompts=info.prompts,
        abilities=info.abilities,
    )
