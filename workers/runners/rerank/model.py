"""What a reranker's folder is opened as, whatever its family."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import mlx.core as mx

from jobs.errors import JobError
from jobs.rerank import RerankJob


class JobReader(Protocol):
    """What makes items of jobs. Any thread may use it: nothing runs on the device."""

    def read(self, jobs: Sequence[RerankJob]) -> Sequence[list[Any] | JobError]:
        """Of each job in order: an item per document, or what is wrong with it. All jobs' work is done together."""
        ...


class Network(Protocol):
    """An nn.Module that keeps nothing of one batch for the next."""

    def logits(self, batch: Any) -> mx.array:
        """One for each item, float32, not computed yet."""
        ...


class RerankModel(NamedTuple):
    """batch: of items, what the network takes. network: opens it, every weight accounted for, none read yet; raises
    InvalidInput. sigmoid: whether a score is the logit's sigmoid or the logit itself. sample: a job in which all parts
    of the network take part.
    """

    reader: JobReader
    batch: Callable[[Sequence[Any]], Any]
    network: Callable[[], Network]
    sigmoid: bool
    max_tokens: int
    sample: RerankJob
    abilities: tuple[str, ...] = ()
