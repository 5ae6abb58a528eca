"""Cohere's embeddings: the body of both versions as a job, and the reply."""

import base64
import functools
from collections.abc import Sequence
from typing import Annotated, Literal, cast

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.cohere.rerank import ApiVersion
from api.replies.vector_formats import one_vector_each, packed, values, write_each
from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.inputs import check_at_most
from api.requests.sole_model import check_one_vector, model_or_sole
from api.work.queue import Queue
from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob, InputType, Truncate
from jobs.errors import InvalidInput
from jobs.job import Result

EmbeddingType = Literal["float", "int8", "binary", "ubinary", "base64"]
CohereInputType = Literal["search_document", "search_query", "classification", "clustering", "image"]

_INPUT_TYPES: dict[CohereInputType, InputType] = {"search_document": "document", "search_query": "query"}


class CohereEmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v2/embed and /v1/embed. Fields it does not name are ignored.

    texts or images (data URIs). model: needed where several embed. truncate: at the model's own limit.
    """

    model: str | None = None
    texts: tuple[str, ...] | None = None
    images: tuple[str, ...] | None = None
    input_type: CohereInputType | None = None
    embedding_types: tuple[EmbeddingType, ...] | None = None
    output_dimension: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    truncate: Literal["NONE", "START", "END"] | None = None
    max_tokens: int | None = None
    inputs: tuple[msgspec.Raw, ...] | None = None


class EmbedUnits(msgspec.Struct, frozen=True):
    """What Cohere would count; nobody is billed."""

    input_tokens: int


class EmbedMeta(msgspec.Struct, frozen=True, kw_only=True):
    api_version: ApiVersion
    billed_units: EmbedUnits


class VectorsByType(msgspec.Struct, frozen=True, kw_only=True):
    """float is called so in JSON. base64: of the float32 values, little-endian."""

    floats: list[list[float]] | UnsetType = msgspec.field(default=UNSET, name="float")
    int8: list[list[int]] | UnsetType = UNSET
    binary: list[list[int]] | UnsetType = UNSET
    ubinary: list[list[int]] | UnsetType = UNSET
    base64: list[str] | UnsetType = UNSET


class CohereVectors(msgspec.Struct, frozen=True, kw_only=True):
    """Of the first version, where no types are asked for."""

    response_type: Literal["embeddings_floats"] = "embeddings_floats"
    id: str
    embeddings: list[list[float]]
    texts: Sequence[str]
    meta: EmbedMeta


class CohereVectorsByType(msgspec.Struct, frozen=True, kw_only=True):
    response_type: Literal["embeddings_by_type"] = "embeddings_by_type"
    id: str
    embeddings: VectorsByType
    texts: Sequence[str]
    meta: EmbedMeta


async def cohere_embed_job(
    asked: CohereEmbedRequest, queue: Queue, source: ImageSource | None, max_inputs: int
) -> EmbedJob:
    """The job; fetches the images. Raises InvalidInput naming the field, and what `model_or_sole` raises."""
    _refuse_unsupported(asked)
    field = "texts" if asked.texts else "images"
    given = asked.texts or asked.images or ()
    check_at_most(given, max_inputs, field)
    if not all(given):
        raise InvalidInput(f"{field}[{given.index('')}] is empty.", param=field)
    model = model_or_sole(asked.model, await queue.models(), "embed")
    info = await queue.model(model, "embed")
    check_one_vector(info)
    inputs: tuple[str | MixedInput, ...] = given
    if asked.images:
        if info.is_announced and "vision" not in info.abilities:
            raise InvalidInput(f"The model {model} reads texts only.", param="images")
        references = [ImageReference(text, f"images[{index}]") for index, text in enumerate(given)]
        inputs = tuple(MixedInput((ImagePart(image),)) for image in await load_images(references, source))
    return EmbedJob(
        model=model,
        inputs=inputs,
        dimensions=asked.output_dimension,
        truncate=cast(Truncate, (asked.truncate or "NONE").lower()),
        input_type=_INPUT_TYPES.get(asked.input_type) if asked.input_type else None,
    )


def _refuse_unsupported(asked: CohereEmbedRequest) -> None:
    if asked.inputs:
        raise InvalidInput("inputs: send texts or images.", param="inputs")
    if bool(asked.texts) == bool(asked.images):
        raise InvalidInput("Send texts or images, and one of them only.", param="texts")
    if asked.max_tokens is not None:
        raise InvalidInput(
            "max_tokens: a text is cut at the model's own limit only, with truncate.", param="max_tokens"
        )


async def encode_cohere_embeddings(
    result: Result, asked: CohereEmbedRequest, *, job_id: str, version: Literal["1", "2"]
) -> bytes:
    """The reply as JSON bytes. Raises InternalError where the result holds no such vectors."""
    found = one_vector_each(result)
    meta = EmbedMeta(api_version=ApiVersion(version), billed_units=EmbedUnits(sum(found.tokens)))
    texts = asked.texts or ()
    if version == "1" and not asked.embedding_types:
        floats = cast(list[list[float]], await write_each(found, lambda vector: _written(vector, "float")))
        return msgspec.json.encode(CohereVectors(id=job_id, embeddings=floats, texts=texts, meta=meta))
    kinds = dict.fromkeys(asked.embedding_types or ("float",))
    written = {
        "floats" if kind == "float" else kind: await write_each(found, functools.partial(_written, kind=kind))
        for kind in kinds
    }
    vectors = VectorsByType(**written)  # pyright: ignore[reportArgumentType]: by its name
    return msgspec.json.encode(CohereVectorsByType(id=job_id, embeddings=vectors, texts=texts, meta=meta))


def _written(vector: "memoryview[float]", kind: EmbeddingType) -> list[float] | list[int] | str:
    if kind == "base64":
        return base64.b64encode(packed(vector, "float")).decode()
    return vector.tolist() if kind == "float" else values(packed(vector, kind), kind)
