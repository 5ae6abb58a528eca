"""A job as HTTP shows it: the types. api.dialects.mlxq.job_reply writes them."""

from typing import Annotated, Literal

import msgspec

_RESULTS = ("EmbeddingReply", "ChatReply", "JinaReply")
"""Names of the types that a result may have. They lie in the dialects, which import this file."""

JobResult = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        extra_json_schema={"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in _RESULTS]}
    ),
]


class JobFailure(msgspec.Struct, frozen=True):
    code: str
    message: str
    param: str | None


class JobReply(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds since the epoch. `result` has the shape of the task's own endpoint.

    The view does not say what was asked, so that of a generation is always a chat completion, and that of a reranking
    Jina's, with all scores and without the documents.
    """

    id: str
    object: Literal["job"] = "job"
    status: str
    task: str
    model: str
    lane: str
    position: int | None
    attempts: int
    created_at: float | None
    started_at: float | None
    ended_at: float | None
    worker: str | None
    metadata: dict[str, str]
    result: JobResult | None
    error: JobFailure | None
