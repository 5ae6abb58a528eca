"""vLLM's scoring body, in and out: pairs of texts, beside OpenAI's endpoints and in their manner."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from api.replies.usage import PromptUsage
from api.requests.images import ImageSource
from api.requests.inputs import GivenPassage, PassageField, PassageObject, load_passages
from api.requests.rerank import Scores, check_count, scores_of
from api.requests.truncation import truncates
from api.requests.vllm.cosine import ranking_model, scores_of_all, vector_jobs
from api.requests.vllm.refusals import PoolingFields
from api.work.queue import Queue
from jobs.errors import InvalidInput
from jobs.job import Job, Result
from jobs.rerank import Passage, RerankJob

Side = GivenPassage | tuple[GivenPassage, ...]

_QUERY_NAMES = ("text_1", "queries", "data_1")
_DOCUMENT_NAMES = ("text_2", "documents", "items", "data_2")
_ACTIVATION_NAMES = ("use_activation", "activation", "softmax")


class ScoreRequest(PoolingFields, frozen=True, kw_only=True):
    """The body of POST /v1/score. Fields it does not name are ignored.

    One side of the pairs goes by one of three names, the other by one of four. truncate: not vLLM's own.
    """

    model: str | None = None
    text_1: Side | None = None
    queries: Side | None = None
    data_1: Side | None = None
    text_2: Side | None = None
    documents: Side | None = None
    items: Side | None = None
    data_2: Side | None = None
    truncate: bool | None = None
    truncate_prompt_tokens: int | None = None
    use_activation: bool | None = None
    activation: bool | None = None
    softmax: bool | None = None
    instruction: str | None = None


class PairedJob(NamedTuple):
    """The job of all pairs that have the same query."""

    job: RerankJob
    pairs: tuple[int, ...]
    """Indices of the request's pairs, one for each of the job's documents."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[Score]
    usage: PromptUsage


async def score_jobs(
    asked: ScoreRequest, queue: Queue, source: ImageSource | None, max_inputs: int
) -> tuple[list[PairedJob], tuple[Job, ...]]:
    """Pairs with the same query are one job; of an embedding model the second of the two has the jobs (see
    vector_jobs), and the first is empty. Fetches the images. Raises InvalidInput naming the field.
    """
    queries, documents = _side(asked, _QUERY_NAMES), _side(asked, _DOCUMENT_NAMES)
    check_count(queries, max_inputs)
    check_count(documents, max_inputs)
    _check_lengths(queries, documents)
    truncate = truncates(asked.truncate_prompt_tokens, bool(asked.truncate))
    model, by_vectors = await ranking_model(asked.model, queue)
    questions, passages = await load_passages([queries, documents], source)
    if by_vectors:
        instruction = asked.instruction
        return [], vector_jobs(model, questions, passages, truncate=truncate, instruction=instruction)
    if len(questions) == 1:
        questions *= len(passages)
    grouped: dict[Passage, list[int]] = {}
    for index, question in enumerate(questions):
        grouped.setdefault(question, []).append(index)
    paired = [
        PairedJob(
            RerankJob(
                model=model,
                query=question,
                documents=tuple(passages[index] for index in pairs),
                truncate=truncate,
                instruction=asked.instruction or None,
                raw_scores=any(getattr(asked, name) is False for name in _ACTIVATION_NAMES),
            ),
            tuple(pairs),
        )
        for question, pairs in grouped.items()
    ]
    return paired, tuple(each.job for each in paired)


async def pair_scores(paired: Sequence[PairedJob], results: Sequence[Result]) -> Scores:
    """One score a pair, in the request's order. paired: none of an embedding model. Raises InternalError."""
    if not paired:
        return await scores_of_all(results)
    found: dict[int, float] = {}
    tokens = 0
    for each, result in zip(paired, results, strict=True):
        scores = scores_of(result)
        found.update(zip(each.pairs, scores.values, strict=True))
        tokens += scores.tokens
    return Scores([found[index] for index in range(len(found))], tokens)


def encode_scores(scores: Scores, model: str, *, job_id: str, created: int) -> bytes:
    """The reply as JSON bytes, pairs in the request's order."""
    reply = ScoreReply(
        id=f"score-{job_id}",
        created=created,
        model=model,
        data=[Score(index=index, score=score) for index, score in enumerate(scores.values)],
        usage=PromptUsage(prompt_tokens=scores.tokens, total_tokens=scores.tokens),
    )
    return msgspec.json.encode(reply)


def _side(asked: ScoreRequest, names: Sequence[str]) -> PassageField:
    given = [PassageField(name, getattr(asked, name)) for name in names if getattr(asked, name) is not None]
    if not given:
        raise InvalidInput(f"Send {names[0]} (or {', '.join(names[1:])}).", param=names[0])
    if len(given) > 1:
        raise InvalidInput(f"{given[0].name} and {given[1].name} exclude each other.", param=given[1].name)
    return given[0]


def _check_lengths(queries: PassageField, documents: PassageField) -> None:
    counts = [
        1 if isinstance(each.given, str | PassageObject) else len(each.given) for each in (queries, documents)
    ]
    if counts[0] not in (1, counts[1]):
        raise InvalidInput(
            f"{queries.name} has {counts[0]} items and {documents.name} {counts[1]}: there must be one, or as many.",
            param=queries.name,
        )
