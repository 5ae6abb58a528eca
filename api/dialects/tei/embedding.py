"""The embedding body of Hugging Face's text-embeddings-inference, in and out."""

from typing import Annotated, Any

import msgspec

from api.dialects.tei.rerank import Direction
from api.replies.vector_formats import one_vector_each, write_each
from api.requests.inputs import Inputs, check_ids, split_inputs
from api.requests.parameters import Refused
from api.requests.sole_model import check_one_vector, model_or_sole
from api.work.queue import Queue
from jobs.embed import EmbedJob, Truncate
from jobs.job import Result


class TeiEmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /embed. Fields it does not name are ignored. model: not TEI's own, which serves but one."""

    inputs: Inputs
    truncate: bool | None = None
    truncation_direction: Direction | None = None
    prompt_name: str | None = None
    normalize: Annotated[Any, Refused("vectors have length 1 here.", unless=(None, True))] = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    model: str | None = None


async def tei_embed_job(asked: TeiEmbedRequest, queue: Queue, max_inputs: int) -> EmbedJob:
    """Raises InvalidInput naming the field, and what `model_or_sole` raises."""
    inputs = split_inputs(asked.inputs, max_inputs, "inputs")
    model = model_or_sole(asked.model, await queue.models(), "embed")
    check_one_vector(await queue.model(model, "embed"))
    truncate = _truncate(asked)
    if truncate == "none":
        await check_ids(queue, model, inputs, "inputs")
    return EmbedJob(
        model=model,
        inputs=inputs,
        dimensions=asked.dimensions,
        truncate=truncate,
        prompt_name=asked.prompt_name,
    )


def _truncate(asked: TeiEmbedRequest) -> Truncate:
    if not asked.truncate:
        return "none"
    return "start" if asked.truncation_direction in ("left", "Left") else "end"


async def encode_tei_embeddings(result: Result) -> bytes:
    """A list of vectors, as JSON bytes. Raises InternalError where the result holds no such vectors."""
    vectors = await write_each(one_vector_each(result), lambda vector: msgspec.json.encode(vector.tolist()))
    return b"[%b]" % b",".join(vectors)
