"""OpenAI's embeddings: the body, and the reply, also with vectors in fewer bytes and several vectors of one input."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.openai.unbuilt import WHO_ASKS
from api.replies.usage import PromptUsage
from api.replies.vector_formats import FLOAT_BYTES, Encoding, OutputDtype, packed, values
from api.requests.images import ImageSource
from api.requests.inputs import (
    GivenInput,
    MixedInputs,
    TextOrImage,
    check_ids,
    load_inputs,
    may_be_image,
    split_mixed_inputs,
)
from api.requests.truncation import truncates
from api.requests.vllm.refusals import EmbeddingFields
from api.work.queue import Queue
from jobs.content import MixedInput
from jobs.embed import EmbedJob, EmbedResult, InputType, PatchGrid, Truncate
from jobs.errors import InternalError, InvalidInput
from jobs.job import Result


class EmbeddingForm(NamedTuple):
    """How vectors are written."""

    encoding: Encoding | None = None
    dtype: OutputDtype = "float"
    grids: bool = False
    """With the patch grids of images."""


class EmbeddingRequest(EmbeddingFields, frozen=True, kw_only=True):
    """The body of POST /v1/embeddings. Fields it does not name are ignored, as OpenAI's clients may send any.

    truncate: true means "end", false "none"; so does truncation, which is Voyage's. Where none of them is said, nothing
    is cut. truncate_prompt_tokens: vLLM's; -1 means "end". dimensions: 0, which infinity's client sends, is as if
    nothing was said. output_dimension: Voyage's name for it. image_url: an image that goes with each text. patch_grids:
    say where an image's vectors are. modality (also infinity_extra_modality): infinity's; image says that each input is
    one.
    """

    model: str = ""
    input: MixedInputs
    encoding_format: Encoding | None = None
    output_dtype: OutputDtype = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    user: Annotated[Any, WHO_ASKS] = None
    prompt_name: str | None = None
    instruction: str | None = None
    input_type: InputType | None = None
    truncate: bool | Truncate | None = None
    truncate_prompt_tokens: int | None = None
    truncation: bool | None = None
    output_dimension: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    image_url: str | None = None
    patch_grids: bool = False
    modality: Literal["text", "image", "audio"] | None = None
    infinity_extra_modality: Literal["text", "image", "audio"] | None = None

    @property
    def form(self) -> EmbeddingForm:
        """How the reply's vectors are written."""
        return EmbeddingForm(self.encoding_format, self.output_dtype, self.patch_grids)

    def as_voyages(self) -> Self:
        """With Voyage's default: what is too long is cut unless the request says something on it."""
        if (self.truncate, self.truncation, self.truncate_prompt_tokens) != (None, None, None):
            return self
        return msgspec.structs.replace(self, truncation=True)


async def embed_job(
    request: EmbeddingRequest, max_inputs: int, queue: Queue, source: ImageSource | None
) -> EmbedJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    if request.prompt_name is not None and request.instruction is not None:
        raise InvalidInput("instruction and prompt_name exclude each other.", param="instruction")
    truncate = _truncate(request)
    given = split_mixed_inputs(request.input, max_inputs, "input")
    modality = request.modality or request.infinity_extra_modality
    if modality in ("image", "audio"):
        given = _images(given, modality)
    if truncate == "none":
        await check_ids(queue, request.model, given, "input")
    inputs: tuple[str | tuple[int, ...] | MixedInput, ...]
    if request.image_url is None and not any(map(may_be_image, given)):
        inputs = given  # pyright: ignore[reportAssignmentType]: no objects among them
    else:
        inputs = await load_inputs(queue, request.model, given, request.image_url, source)
    return EmbedJob(
        model=request.model,
        inputs=inputs,
        dimensions=_dimensions(request),
        truncate=truncate,
        prompt_name=request.prompt_name,
        instruction=request.instruction,
        input_type=request.input_type,
    )


def _images(given: Sequence[GivenInput], modality: str) -> tuple[TextOrImage, ...]:
    """Texts that stand for images. Raises InvalidInput for anything else."""
    if modality == "audio":
        raise InvalidInput("modality: sounds are not read. There are text and image.", param="modality")
    if not all(isinstance(each, str) for each in given):
        raise InvalidInput(
            "input: with the modality image each is an address, a data URI or base64.", param="input"
        )
    return tuple(TextOrImage(image=each) for each in given if isinstance(each, str))


def _truncate(request: EmbeddingRequest) -> Truncate:
    """Whatever of the names for it says so. Raises InvalidInput where they contradict each other."""
    truncate = request.truncate or "none"
    if truncate is True:
        truncate = "end"
    if request.truncation is False and truncate != "none":
        raise InvalidInput("truncate and truncation contradict each other.", param="truncation")
    if truncates(request.truncate_prompt_tokens, bool(request.truncation)) and truncate == "none":
        return "end"
    return truncate


def _dimensions(request: EmbeddingRequest) -> int | None:
    given = request.dimensions or None
    if len({given, request.output_dimension} - {None}) > 1:
        raise InvalidInput("dimensions and output_dimension contradict each other.", param="output_dimension")
    return given if request.output_dimension is None else request.output_dimension


# Values encoded between two turns of the event loop: a few milliseconds, so a huge reply delays no small one.
_SLICE_VALUES = 65_536
_encoder = msgspec.json.Encoder()

_Vector = list[float] | list[int]

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_Values = Annotated[  # msgspec describes no union of two lists
    Any,
    msgspec.Meta(
        extra_json_schema={
            "anyOf": [
                _NUMBERS,
                {"type": "array", "items": _NUMBERS},
                {"type": "string", "contentEncoding": "base64"},
            ]
        }
    ),
]


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """embedding: numbers, or bytes, which JSON carries as base64; of a multi-vector model, a list of vectors, or the
    bytes of all of them, whose shape is told then.
    """

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: _Values
    shape: Annotated[tuple[int, ...], msgspec.Meta(min_length=2, max_length=2)] | UnsetType = UNSET
    patch_grids: Sequence[PatchGrid] | UnsetType = UNSET


class EmbeddingReply(msgspec.Struct, frozen=True, kw_only=True):
    """What encode_embeddings writes."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: PromptUsage


async def encode_embeddings(result: Result, model: str, form: EmbeddingForm) -> bytes:
    """The reply as JSON bytes. Raises InternalError where the result holds no such vectors."""
    written, tokens = await write_vectors(result, form, _encoder.encode)
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (
        written,
        _encoder.encode(model),
        _encoder.encode(PromptUsage(prompt_tokens=tokens, total_tokens=tokens)),
    )


async def write_vectors(
    result: Result, form: EmbeddingForm, encode: Callable[[list[Embedding]], bytes]
) -> tuple[bytes, int]:
    """The vectors, joined by commas, and the tokens that were read. encode: writes some of them as a JSON list. Raises
    InternalError where the result holds no such vectors.
    """
    if not isinstance(result, EmbedResult):
        raise InternalError
    inputs, rows = len(result.tokens), sum(result.counts) if result.counts else len(result.tokens)
    if len(result.vectors) != rows * result.dimensions * FLOAT_BYTES or len(result.counts) not in (
        0,
        inputs,
    ):
        raise InternalError
    slices: list[bytes] = []
    for some in _slices(result, form):
        if slices:
            await asyncio.sleep(0)
        slices.append(encode(some)[1:-1])
    return b",".join(slices), sum(result.tokens)


def _slices(result: EmbedResult, form: EmbeddingForm) -> Iterator[list[Embedding]]:
    if result.counts:
        yield from _multi_vectors(result, form)
        return
    floats = memoryview(result.vectors).cast("f")
    size, count = result.dimensions, len(result.tokens)
    step = max(1, _SLICE_VALUES // max(1, size))
    for start in range(0, count, step):
        yield [
            Embedding(index=index, embedding=_written(floats[index * size : (index + 1) * size], form))
            for index in range(start, min(start + step, count))
        ]


def _multi_vectors(result: EmbedResult, form: EmbeddingForm) -> Iterator[list[Embedding]]:
    """An input at a time: one page has as many values as a hundred texts."""
    floats = memoryview(result.vectors).cast("f")
    size, first = result.dimensions, 0
    for index, count in enumerate(result.counts):
        vectors = [floats[row * size : (row + 1) * size] for row in range(first, first + count)]
        first += count
        written = [_written(vector, form) for vector in vectors]
        as_bytes = form.encoding == "base64"
        yield [
            Embedding(
                index=index,
                embedding=b"".join(cast(list[bytes], written)) if as_bytes else cast(list[_Vector], written),
                shape=(count, size) if as_bytes else UNSET,
                patch_grids=result.grids[index] if form.grids and result.grids else UNSET,
            )
        ]


def _written(vector: "memoryview[float]", form: EmbeddingForm) -> _Vector | bytes | memoryview:
    if form.dtype == "float":
        return vector.cast("B") if form.encoding == "base64" else vector.tolist()
    raw = packed(vector, form.dtype)
    return raw if form.encoding == "base64" else values(raw, form.dtype)
