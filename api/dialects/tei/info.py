"""/info of Hugging Face's text-embeddings-inference: what is known of the one model that embeds or reranks."""

from collections.abc import Sequence
from importlib.metadata import version

import msgspec
from msgspec import UNSET, UnsetType

from jobs.errors import InvalidInput, NoWorker
from jobs.models import ModelInfo, model_for
from jobs.settings import Settings

_UNKNOWN = "unknown"


class TeiInfoQuery(msgspec.Struct, frozen=True, kw_only=True):
    """model: not TEI's own, which serves but one; needed where more than one embeds or reranks."""

    model: str | None = None


class TeiEmbeddingModel(msgspec.Struct, frozen=True):
    """pooling: workers do not tell it."""

    pooling: str = _UNKNOWN


class TeiClassifier(msgspec.Struct, frozen=True):
    id2label: dict[str, str]
    label2id: dict[str, int]


class TeiModelType(msgspec.Struct, frozen=True):
    """One of the two."""

    embedding: TeiEmbeddingModel | UnsetType = UNSET
    reranker: TeiClassifier | UnsetType = UNSET


class TeiInfo(msgspec.Struct, frozen=True, kw_only=True):
    """max_batch_tokens, tokenization_workers: 0, for a worker decides. max_input_length: 0 where none has told it."""

    model_id: str
    model_sha: str | None
    model_dtype: str = _UNKNOWN
    model_type: TeiModelType
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int = 0
    max_batch_requests: int | None = None
    max_client_batch_size: int
    auto_truncate: bool = False
    tokenization_workers: int = 0
    version: str
    sha: str | None = None
    docker_label: str | None = None


def tei_info(named: str | None, models: Sequence[ModelInfo], settings: Settings) -> TeiInfo:
    """Raises NoWorker, UnknownModel, and InvalidInput for a generator, and where a model must be named."""
    info = _model(named, models)
    reranks = info.task == "rerank"
    label = "LABEL_0"
    kind = (
        TeiModelType(reranker=TeiClassifier({"0": label}, {label: 0}))
        if reranks
        else TeiModelType(embedding=TeiEmbeddingModel())
    )
    return TeiInfo(
        model_id=info.hub_name or info.id,
        model_sha=info.digest or None,
        model_type=kind,
        max_concurrent_requests=settings.queue_limit,
        max_input_length=info.max_tokens,
        max_client_batch_size=settings.max_inputs,
        version=version("mlxq"),
    )


def _model(named: str | None, models: Sequence[ModelInfo]) -> ModelInfo:
    if named:
        info = model_for(named, models)
        if info.task == "generate":
            raise InvalidInput(f"{info.id} neither embeds nor reranks.", param="model")
        return info
    found = {info.id: info for info in models if info.task != "generate"}
    if not found:
        raise NoWorker("No model that embeds or reranks is served.")
    if len(found) > 1:
        raise InvalidInput(f"There is more than one: {', '.join(found)}. Name it in ?model=.", param="model")
    return next(iter(found.values()))
