"""OpenAI's embedding reply, also for vectors in fewer bytes and for several vectors of one input."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, cast

import msgspec
from msgspec import UNSET, UnsetType

from api.replies.usage import PromptUsage
from api.replies.vector_formats import Encoding, OutputDtype, packed, values
from jobs.embed import EmbedResult, PatchGrid
from jobs.errors import InternalError
from jobs.job import Result

_FLOAT_BYTES = 4
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


class EmbeddingForm(NamedTuple):
    """How vectors are written."""

    encoding: Encoding | None = None
    dtype: OutputDtype = "float"
    grids: bool = False
    """With the patch grids of images."""


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
    if not isinstance(result, EmbedResult):
        raise InternalError
    inputs, rows = len(result.tokens), sum(result.counts) if result.counts else len(result.tokens)
    if len(result.vectors) != rows * result.dimensions * _FLOAT_BYTES or len(result.counts) not in (
        0,
        inputs,
    ):
        raise InternalError
    slices: list[bytes] = []
    for some in _slices(result, form):
        if slices:
            await asyncio.sleep(0)
        slices.append(_encoder.encode(some)[1:-1])
    tokens = sum(result.tokens)
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (
        b",".join(slices),
        _encoder.encode(model),
        _encoder.encode(PromptUsage(prompt_tokens=tokens, total_tokens=tokens)),
    )


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
