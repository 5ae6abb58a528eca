"""How many bytes a result may have. What is sure to have more is refused before anything is computed for it."""

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import ResultTooLarge
from jobs.job import Job, Result
from jobs.models import ModelInfo

_VALUE_BYTES = 4
"""Vectors and scores are float32."""

_CHARACTERS_PER_VECTOR = 8
"""Of a multi-vector model. Texts have four or five for each token; what has even more is known once it is tokenised."""


def check_size(job: Job, info: ModelInfo, limit_bytes: int) -> None:
    """Raises ResultTooLarge for a job whose result is sure to be larger than the limit. What generators write, and how
    many vectors an image has, is not known before.
    """
    if isinstance(job, EmbedJob):
        dimensions = job.dimensions or info.dimensions
        check_vectors(_least_vectors(job, info), dimensions, limit_bytes)


def check_vectors(count: int, dimensions: int, limit_bytes: int) -> None:
    """Raises ResultTooLarge where so many vectors are larger than the limit."""
    size_bytes = count * dimensions * _VALUE_BYTES
    if size_bytes > limit_bytes:
        raise ResultTooLarge(
            f"The result has {count:,} vectors of {dimensions:,} values or more: at least {size_bytes:,} bytes, and a "
            f"result may have {limit_bytes:,} (MLXQ_MAX_RESULT_BYTES). Send the inputs in several requests.",
            param="input",
        )


def check_result(result: Result, limit_bytes: int, packed: bytes | None = None) -> None:
    """Raises ResultTooLarge for a result over the limit. packed: its encoding, where there is one already."""
    size_bytes = (
        len(packed) if packed is not None else len(result.vectors) if isinstance(result, EmbedResult) else 0
    )
    if size_bytes > limit_bytes:
        raise ResultTooLarge(
            f"The result has {size_bytes:,} bytes, and a result may have {limit_bytes:,} (MLXQ_MAX_RESULT_BYTES). "
            "Ask for less of it in one request: fewer inputs, fewer answers, fewer log-probabilities."
        )


def _least_vectors(job: EmbedJob, info: ModelInfo) -> int:
    if "multi_vector" not in info.abilities:
        return len(job.inputs)
    return sum(
        min(len(each) // _CHARACTERS_PER_VECTOR, info.max_tokens) if isinstance(each, str) else 1
        for each in job.inputs
    )
