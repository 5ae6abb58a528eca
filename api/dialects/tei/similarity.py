"""/similarity of Hugging Face's text-embeddings-inference, in and out: how alike sentences are to another one."""

from typing import Annotated, Any

import msgspec

from api.dialects.tei.rerank import Direction
from api.requests.inputs import check_at_most
from api.requests.parameters import Refused
from api.requests.sole_model import check_one_vector, model_or_sole
from api.requests.vllm.cosine import scores_of_all, vector_jobs
from api.work.queue import Queue
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput
from jobs.job import Result


class TeiSentences(msgspec.Struct, frozen=True, kw_only=True):
    source_sentence: str
    sentences: tuple[str, ...]


class TeiSimilarityParameters(msgspec.Struct, frozen=True, kw_only=True):
    """truncate: overlong sentences are cut at their end, the source among them."""

    truncate: bool | None = None
    truncation_direction: Direction | None = None
    prompt_name: Annotated[Any, Refused("sentences are compared as they are.")] = None


class TeiSimilarityRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /similarity. Fields it does not name are ignored. model: not TEI's own."""

    inputs: TeiSentences
    parameters: TeiSimilarityParameters | None = None
    model: str | None = None


async def tei_similarity_jobs(
    asked: TeiSimilarityRequest, queue: Queue, max_inputs: int
) -> tuple[EmbedJob, EmbedJob]:
    """Raises InvalidInput naming the field, and what `model_or_sole` raises."""
    given = asked.parameters or TeiSimilarityParameters()
    if given.truncate and given.truncation_direction in ("left", "Left"):
        raise InvalidInput(
            "truncation_direction: sentences are cut at their end only (right).", param="truncation_direction"
        )
    sentences = asked.inputs.sentences
    if not sentences:
        raise InvalidInput("`sentences` cannot be empty", param="inputs")
    check_at_most(sentences, max_inputs, "inputs.sentences")
    model = model_or_sole(asked.model, await queue.models(), "embed")
    check_one_vector(await queue.model(model, "embed"))
    source = [asked.inputs.source_sentence]
    cut, compared = vector_jobs(model, source, sentences, truncate=bool(given.truncate), instruction=None)
    return msgspec.structs.replace(cut, truncate=compared.truncate), compared


async def encode_tei_similarities(results: list[Result]) -> bytes:
    """A cosine for each sentence, as JSON bytes. Raises InternalError."""
    return msgspec.json.encode((await scores_of_all(results)).values)
