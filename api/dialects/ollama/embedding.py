"""Ollama's embeddings: the bodies of /api/embed and of the older /api/embeddings as a job, and the replies."""

from typing import Annotated, Any

import msgspec

from api.dialects.ollama.options import KeepAlive, keep_alive_s
from api.replies.vector_formats import one_vector_each, write_each
from api.requests.inputs import split_inputs
from api.requests.parameters import NoEffect
from api.requests.sole_model import check_one_vector
from api.work.queue import Queue
from jobs.embed import EmbedJob, Truncate
from jobs.errors import InvalidInput
from jobs.job import Result

_NOT_SAMPLED = NoEffect("a vector is not sampled, and the model has its whole context")


class OllamaEmbeddingsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /api/embeddings. Fields it does not name are ignored."""

    model: str
    prompt: str | None = None
    keep_alive: KeepAlive | None = None
    options: Annotated[dict[str, Any] | None, _NOT_SAMPLED] = None


class OllamaEmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /api/embed. Fields it does not name are ignored.

    truncate: an overlong text is cut at its end; true unless said otherwise, as Ollama has it. dimensions: the model's
    own where not positive.
    """

    model: str
    input: str | tuple[str, ...] | None = None
    truncate: bool | None = None
    dimensions: int | None = None
    keep_alive: KeepAlive | None = None
    options: Annotated[dict[str, Any] | None, _NOT_SAMPLED] = None


class OllamaVector(msgspec.Struct, frozen=True):
    embedding: list[float]


class OllamaVectors(msgspec.Struct, frozen=True, kw_only=True):
    """total_duration: nanoseconds that the caller waited. load_duration: those that it waited for its model's load."""

    model: str
    embeddings: list[list[float]]
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0


async def ollama_embed_job(asked: OllamaEmbedRequest, queue: Queue, max_inputs: int) -> EmbedJob:
    """Without inputs where there is nothing to embed: then the model is only loaded. Raises InvalidInput naming the
    field.
    """
    if asked.dimensions is not None and asked.dimensions >= 2**31:
        raise InvalidInput("dimensions is too large.", param="dimensions")
    dimensions = asked.dimensions if asked.dimensions and asked.dimensions > 0 else None
    truncate = "none" if asked.truncate is False else "end"
    given = asked.input or ()
    return await _job(asked, given, queue, max_inputs, "input", dimensions=dimensions, truncate=truncate)


async def ollama_embeddings_job(asked: OllamaEmbeddingsRequest, queue: Queue) -> EmbedJob:
    """As ollama_embed_job. An overlong prompt is an error. Raises InvalidInput naming the field."""
    return await _job(asked, asked.prompt or (), queue, 1, "prompt", dimensions=None, truncate="none")


async def _job(
    asked: OllamaEmbedRequest | OllamaEmbeddingsRequest,
    given: str | tuple[str, ...],
    queue: Queue,
    max_inputs: int,
    field: str,
    *,
    dimensions: int | None,
    truncate: Truncate,
) -> EmbedJob:
    stays_s = keep_alive_s(asked.keep_alive)
    info = await queue.model(asked.model, "embed")
    check_one_vector(info)
    inputs = split_inputs(given, max_inputs, field) if given else ()
    return EmbedJob(
        model=info.id, inputs=inputs, dimensions=dimensions, truncate=truncate, keep_alive_s=stays_s
    )


async def encode_ollama_vectors(result: Result, model: str, duration_ns: int) -> bytes:
    """The reply of /api/embed, as JSON. Raises InternalError where the result holds no such vectors."""
    vectors = one_vector_each(result)
    return msgspec.json.encode(
        OllamaVectors(
            model=model,
            embeddings=await write_each(vectors, list),
            total_duration=duration_ns,
            load_duration=int(vectors.load_s * 1e9),
            prompt_eval_count=sum(vectors.tokens),
        )
    )


async def encode_ollama_vector(result: Result) -> bytes:
    """The reply of /api/embeddings, as JSON: no values where nothing was embedded. Raises InternalError where the
    result holds no such vector.
    """
    vectors = await write_each(one_vector_each(result), list)
    return msgspec.json.encode(OllamaVector(vectors[0] if vectors else []))
