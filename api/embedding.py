"""OpenAI's embedding body, in and out: used by its own endpoint and by /v1/jobs."""

import asyncio
from typing import Annotated, Literal, cast

import msgspec

from api.inputs import Inputs, split_inputs
from jobs.errors import InternalError, InvalidInput
from jobs.types import EmbedJob, EmbedResult, Result, Truncate

Encoding = Literal["float", "base64"]

_FLOAT_BYTES = 4
# Values encoded between two turns of the event loop: a few milliseconds, so a huge reply delays no small one.
_SLICE_VALUES = 65_536
_encoder = msgspec.json.Encoder()


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/embeddings. Fields it does not name are ignored, as OpenAI's clients may send any.

    truncate: true means "end", false "none".
    """

    model: str
    input: Inputs
    encoding_format: Encoding | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    user: str | None = None
    prompt_name: str | None = None
    instruction: str | None = None
    truncate: bool | Truncate = "none"


class Embedding(msgspec.Struct, frozen=True):
    """embedding: floats, or the float32 bytes, which JSON carries as base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | memoryview


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


def embed_job(request: EmbeddingRequest, max_inputs: int) -> EmbedJob:
    """The job that a request asks for. Raises InvalidInput naming the field."""
    if request.prompt_name is not None and request.instruction is not None:
        raise InvalidInput("instruction and prompt_name exclude each other.", param="instruction")
    truncate = request.truncate
    if isinstance(truncate, bool):
        truncate = "end" if truncate else "none"
    return EmbedJob(
        model=request.model,
        inputs=split_inputs(request.input, max_inputs, "input"),
        dimensions=request.dimensions,
        truncate=truncate,
        prompt_name=request.prompt_name,
        instruction=request.instruction,
    )


async def encode_embeddings(result: Result, model: str, encoding: Encoding | None) -> bytes:
    """OpenAI's embedding reply as JSON bytes. Raises InternalError where the result holds no such vectors."""
    if not isinstance(result, EmbedResult):
        raise InternalError
    count = len(result.tokens)
    if len(result.vectors) != count * result.dimensions * _FLOAT_BYTES:
        raise InternalError
    step = max(1, _SLICE_VALUES // max(1, result.dimensions))
    slices = [_encode_slice(result, 0, min(step, count), encoding)]
    for start in range(step, count, step):
        await asyncio.sleep(0)
        slices.append(_encode_slice(result, start, min(start + step, count), encoding))
    tokens = sum(result.tokens)
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (
        b",".join(slices),
        _encoder.encode(model),
        _encoder.encode(Usage(prompt_tokens=tokens, total_tokens=tokens)),
    )


def _encode_slice(result: EmbedResult, start: int, stop: int, encoding: Encoding | None) -> bytes:
    size = result.dimensions
    if encoding == "base64":
        raw = memoryview(result.vectors)
        size *= _FLOAT_BYTES
        found = [Embedding("embedding", i, raw[i * size : (i + 1) * size]) for i in range(start, stop)]
    else:
        floats = memoryview(result.vectors).cast("f")
        # typeshed believes that every memoryview holds integers.
        rows = [cast(list[float], floats[i * size : (i + 1) * size].tolist()) for i in range(start, stop)]
        found = [Embedding("embedding", i, row) for i, row in enumerate(rows, start)]
    return _encoder.encode(found)[1:-1]
