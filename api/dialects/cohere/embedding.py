"""Cohere's embeddings: the body of both versions as a job, and the reply."""

import base64
import functools
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, cast

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.cohere.priority import Priority
from api.dialects.cohere.rerank import ApiVersion
from api.replies.vector_formats import one_vector_each, packed, values, write_each
from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.inputs import check_at_most
from api.requests.sole_model import check_one_vector, model_or_sole
from api.work.queue import Queue
from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, InputType, Truncate
from jobs.errors import InvalidInput
from jobs.job import Result

EmbeddingType = Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]
CohereInputType = Literal["search_document", "search_query", "classification", "clustering", "image"]

_INPUT_TYPES: dict[CohereInputType, InputType] = {"search_document": "document", "search_query": "query"}


class EmbedImageUrl(msgspec.Struct, frozen=True):
    url: str


class EmbedText(msgspec.Struct, frozen=True, tag="text"):
    text: str


class EmbedImage(msgspec.Struct, frozen=True, tag="image_url"):
    """url: a data URI, or an http(s) address."""

    image_url: EmbedImageUrl


class EmbedInput(msgspec.Struct, frozen=True):
    """Texts and images that are read together, in this order."""

    content: tuple[EmbedText | EmbedImage, ...]


class CohereEmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v2/embed and /v1/embed. Fields it does not name are ignored.

    One of texts, images (data URIs) and inputs. model: needed where several embed. max_tokens: of each text, special
    tokens and the prompt included; truncate: what becomes of a longer one.
    """

    model: str | None = None
    texts: tuple[str, ...] | None = None
    images: tuple[str, ...] | None = None
    inputs: tuple[EmbedInput, ...] | None = None
    input_type: CohereInputType | None = None
    embedding_types: tuple[EmbeddingType, ...] | None = None
    output_dimension: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    truncate: Literal["NONE", "START", "END"] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    priority: Priority | None = None


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
    uint8: list[list[int]] | UnsetType = UNSET
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


class _Given(msgspec.Struct, frozen=True):
    """What is to be embedded, in whichever field it came."""

    field: Literal["texts", "images", "inputs"]
    contents: Sequence[Sequence[EmbedText | EmbedImage]]
    """Of each input; never empty."""

    def places(self) -> Iterator[tuple[str, EmbedText | EmbedImage]]:
        """Each text and image, with its place in the body."""
        for index, content in enumerate(self.contents):
            for part, block in enumerate(content):
                within = f".content[{part}]" if self.field == "inputs" else ""
                yield f"{self.field}[{index}]{within}", block


async def cohere_embed_job(
    asked: CohereEmbedRequest, queue: Queue, source: ImageSource | None, max_inputs: int
) -> EmbedJob:
    """The job; fetches the images. Raises InvalidInput naming the field, and what `model_or_sole` raises."""
    given = _given(asked)
    check_at_most(given.contents, max_inputs, given.field)
    model = model_or_sole(asked.model, await queue.models(), "embed")
    info = await queue.model(model, "embed")
    check_one_vector(info)
    references = [
        ImageReference(block.image_url.url, place)
        for place, block in given.places()
        if isinstance(block, EmbedImage)
    ]
    if references and info.is_announced and "vision" not in info.abilities:
        raise InvalidInput(
            f"{references[0].path}: the model {model} reads texts only.", param=references[0].param
        )
    if references and asked.max_tokens is not None:
        raise InvalidInput("max_tokens: an input with images is never cut.", param="max_tokens")
    images = iter(await load_images(references, source) if references else ())
    return EmbedJob(
        model=model,
        inputs=tuple(_input(content, images) for content in given.contents),
        dimensions=asked.output_dimension,
        truncate=cast(Truncate, (asked.truncate or "NONE").lower()),
        max_tokens=asked.max_tokens,
        input_type=_INPUT_TYPES.get(asked.input_type) if asked.input_type else None,
    )


def _given(asked: CohereEmbedRequest) -> _Given:
    """Raises InvalidInput where nothing is given, too much, or nothing in it."""
    if sum(map(bool, (asked.texts, asked.images, asked.inputs))) != 1:
        raise InvalidInput("Send one of texts, images and inputs, with something in it.", param="texts")
    if asked.texts:
        found = _Given("texts", [(EmbedText(text),) for text in asked.texts])
    elif asked.images:
        found = _Given("images", [(EmbedImage(EmbedImageUrl(text)),) for text in asked.images])
    else:
        found = _Given("inputs", [each.content for each in asked.inputs or ()])
    empty = [index for index, content in enumerate(found.contents) if not content]
    if empty:
        raise InvalidInput(f"{found.field}[{empty[0]}] is empty.", param=found.field)
    for place, block in found.places():
        if not (block.text if isinstance(block, EmbedText) else block.image_url.url):
            raise InvalidInput(f"{place} is empty.", param=found.field)
    return found


def _input(content: Sequence[EmbedText | EmbedImage], images: Iterator[bytes]) -> str | MixedInput:
    """images: as many are taken as the content has."""
    if all(isinstance(block, EmbedText) for block in content):
        return "\n".join(block.text for block in content if isinstance(block, EmbedText))
    return MixedInput(
        tuple(
            TextPart(block.text) if isinstance(block, EmbedText) else ImagePart(next(images))
            for block in content
        )
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
