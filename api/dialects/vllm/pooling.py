"""vLLM's /pooling, in and out: vectors as an embedding model makes them."""

from typing import Annotated, Any, Literal

import msgspec

from api.dialects.openai.embedding import Embedding, EmbeddingForm, EmbeddingRequest, embed_job, write_vectors
from api.replies.usage import PromptUsage
from api.replies.vector_formats import Encoding
from api.requests.images import ImageSource
from api.requests.inputs import MixedInputs
from api.requests.parameters import Refused
from api.requests.sole_model import with_model
from api.requests.vllm.refusals import EmbeddingFields
from api.work.queue import Queue
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput
from jobs.job import Result

_encoder = msgspec.json.Encoder()


class PoolingRequest(EmbeddingFields, frozen=True, kw_only=True):
    """The body of POST /pooling. Fields it does not name are ignored.

    task: embed, or token_embed of a model with a vector for each token.
    """

    model: str = ""
    input: MixedInputs
    task: Literal["embed", "token_embed"] | None = None
    encoding_format: Encoding | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    truncate_prompt_tokens: int | None = None
    data: Annotated[Any, Refused("it is of extensions of vLLM. Send input.")] = None


class PoolingData(msgspec.Struct, frozen=True, kw_only=True):
    """data: a vector; of a model with a vector for each token a list of them; either as base64 of float32."""

    index: int
    object: Literal["pooling"] = "pooling"
    data: Any


class PoolingReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[PoolingData]
    usage: PromptUsage


async def pooling_job(
    asked: PoolingRequest, queue: Queue, source: ImageSource | None, max_inputs: int
) -> EmbedJob:
    """Raises InvalidInput naming the field, and what `with_model` and the queue's `model` raise."""
    asked = await with_model(asked, queue, "embed")
    info = await queue.model(asked.model, "embed")
    several = "multi_vector" in info.abilities
    if asked.task is not None and (asked.task == "token_embed") is not several:
        made = "a vector for each token (token_embed)" if several else "one vector for each input (embed)"
        raise InvalidInput(f"task: {info.id} makes {made}.", param="task")
    wanted = EmbeddingRequest(
        model=asked.model,
        input=asked.input,
        dimensions=asked.dimensions,
        truncate_prompt_tokens=asked.truncate_prompt_tokens,
    )
    return await embed_job(wanted, max_inputs, queue, source)


async def encode_pooling(
    result: Result, model: str, encoding: Encoding | None, *, job_id: str, created: int
) -> bytes:
    """A PoolingReply as JSON bytes. Raises InternalError where the result holds no vectors."""
    written, tokens = await write_vectors(result, EmbeddingForm(encoding), _encode)
    return b'{"id":%b,"object":"list","created":%d,"model":%b,"data":[%b],"usage":%b}' % (
        _encoder.encode(f"pool-{job_id}"),
        created,
        _encoder.encode(model),
        written,
        _encoder.encode(PromptUsage(prompt_tokens=tokens, total_tokens=tokens)),
    )


def _encode(some: list[Embedding]) -> bytes:
    return _encoder.encode([PoolingData(index=each.index, data=each.embedding) for each in some])
