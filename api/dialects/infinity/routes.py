"""What infinity has besides OpenAI's dialect: /models with figures, /embeddings_image."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.openai.embedding import EmbeddingReply, EmbeddingRequest, embed_job, encode_embeddings
from api.dialects.openai.models import ModelFields, model_fields
from api.openapi.operation import EXAMPLE_IMAGE, reading, work
from api.replies.vector_formats import Encoding
from api.requests.parameters import NoEffect, Refused
from api.requests.sole_model import with_model
from api.route import add_route
from jobs.models import ModelInfo
from jobs.stats import LaneStats


class ImagesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /embeddings_image. input: addresses, data URIs or base64 alone. modality: of /embeddings.

    dimensions: 0 is as if nothing was said.
    """

    model: str = ""
    input: str | tuple[str, ...]
    encoding_format: Encoding | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    modality: Annotated[
        Any, Refused("pictures are read here. Send texts to /embeddings.", unless=(None, "image"))
    ] = None
    user: Annotated[Any, NoEffect("no answer depends on who asks")] = None


_EMBED_IMAGES = work(
    "embeddings",
    ImagesRequest,
    EmbeddingReply,
    example={"model": "PAGE-MODEL", "input": [EXAMPLE_IMAGE]},
)
_decoder = msgspec.json.Decoder(ImagesRequest)


class InfinityStats(msgspec.Struct, frozen=True, kw_only=True):
    """queue_absolute: jobs that wait; queue_fraction: of those that may. results_pending: jobs that a worker has
    started. batch_size: 0, for batches are bounded in tokens.
    """

    queue_fraction: float
    queue_absolute: int
    results_pending: int
    batch_size: int = 0


class InfinityModel(ModelFields, frozen=True, kw_only=True):
    """A model object of OpenAI's with infinity's figures. owned_by: its client takes nothing else."""

    owned_by: Literal["infinity"] = "infinity"
    stats: InfinityStats
    backend: Literal["mlx"] = "mlx"


class InfinityModels(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[InfinityModel]


class Infinity(Dialect):
    """/models without /v1, and /embeddings_image."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/models", self.list_models_with_stats, reading("openai", InfinityModels))
        add_route(app, "/embeddings_image", self.embed_images, _EMBED_IMAGES)

    async def list_models_with_stats(self, request: Request) -> Response:
        """Every model that jobs are taken for, and how full its queues are."""
        models, stats = await self.context.queue.models(), await self.context.queue.stats()
        data = [InfinityModel(**model_fields(info), stats=_stats(info, stats.queues)) for info in models]
        return json_response(msgspec.json.encode(InfinityModels(data=data)))

    async def embed_images(self, request: Request) -> Response:
        """One vector per image: addresses, data URIs or base64."""
        asked, terms = await self.read(request, _decoder)
        queue, settings, images, *_ = self.context
        asked = await with_model(asked, queue, "embed")
        wanted = EmbeddingRequest(
            model=asked.model,
            input=asked.input,
            encoding_format=asked.encoding_format,
            dimensions=asked.dimensions,
            modality="image",
        )
        job = await embed_job(wanted, settings.max_inputs, queue, images)
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_embeddings(done[0].result, wanted.model, wanted.form),
            wanted.encoding_format,
        )


def _stats(info: ModelInfo, queues: Sequence[LaneStats]) -> InfinityStats:
    own = [queue for queue in queues if queue.model == info.id]
    waiting = sum(queue.queued + queue.scheduled for queue in own)
    limit = sum(queue.limit for queue in own)
    return InfinityStats(
        queue_fraction=waiting / limit if limit else 0.0,
        queue_absolute=waiting,
        results_pending=sum(queue.started for queue in own),
    )
