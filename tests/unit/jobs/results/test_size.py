import msgspec
import pytest

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import ResultTooLarge
from jobs.generate import Choice, GenerateJob, GenerateResult, Prompt
from jobs.job import Job
from jobs.models import ModelInfo
from jobs.results.size import check_result, check_size, check_vectors
from jobs.store import record

SINGLE = ModelInfo(id="m", task="embed", created=1, dimensions=100, max_tokens=512)
MULTI = ModelInfo(
    id="m", task="embed", created=1, dimensions=100, max_tokens=1000, abilities=("multi_vector",)
)
LIMIT = 400 * 100
"""A hundred vectors."""


def texts(count: int, characters: int = 1, dimensions: int | None = None) -> EmbedJob:
    return EmbedJob(model="m", inputs=("x" * characters,) * count, dimensions=dimensions)


@pytest.mark.parametrize(
    ("job", "info"),
    [
        (texts(101), SINGLE),
        (texts(11, dimensions=1000), SINGLE),
        (texts(1, 8 * 101), MULTI),
        (texts(2, 8 * 60), MULTI),
        (EmbedJob(model="m", inputs=((1, 2),) * 101), MULTI),
    ],
)
def test_a_job_whose_result_is_sure_to_be_too_large_is_refused(job: Job, info: ModelInfo):
    with pytest.raises(ResultTooLarge, match="MLXQ_MAX_RESULT_BYTES") as raised:
        check_size(job, info, LIMIT)
    assert raised.value.param == "input"


@pytest.mark.parametrize(
    ("job", "info"),
    [
        (texts(100), SINGLE),
        (texts(100, 100_000), SINGLE),
        (texts(1000, dimensions=10), SINGLE),
        (texts(1, 8 * 100), MULTI),
        (texts(1, 10**6), msgspec.structs.replace(MULTI, max_tokens=99)),
        (EmbedJob(model="m", inputs=(MixedInput((ImagePart(bytes(10**6)),)),)), MULTI),
        (GenerateJob(model="m", prompt=Prompt("x" * 10**6)), SINGLE),
    ],
)
def test_a_job_whose_result_may_fit_is_not_refused(job: Job, info: ModelInfo):
    check_size(job, info, LIMIT)


def test_so_many_vectors_as_fit_are_allowed():
    check_vectors(100, 100, LIMIT)
    with pytest.raises(ResultTooLarge, match="101 vectors of 100 values"):
        check_vectors(101, 100, LIMIT)


def test_a_result_over_the_limit_is_refused_by_its_vectors_or_by_its_encoding():
    vectors = EmbedResult(dimensions=100, vectors=bytes(LIMIT + 4), tokens=(1,))
    answer = GenerateResult(choices=(Choice("x" * LIMIT, "stop", 3),), prompt_tokens=9)
    with pytest.raises(ResultTooLarge):
        check_result(vectors, LIMIT)
    check_result(answer, LIMIT)
    with pytest.raises(ResultTooLarge):
        check_result(answer, LIMIT, record.pack(answer))
