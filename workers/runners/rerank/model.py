"""What a reranker's folder is opened as, whatever its family."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import mlx.core as mx

from jobs.errors import JobError
from jobs.rerank import RerankJob
from workers.runners.tokens.tokenizing import HasTokenizer


class JobReader(HasTokenizer, Protocol):
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
    """A reranker's folder, opened."""

    reader: JobReader
    batch: Callable[[Sequence[Any]], Any]
    """Makes of items what the network takes."""
    network: Callable[[], Network]
    """Opens the network, every weight accounted for, none read yet. Raises InvalidInput."""
    sigmoid: bool
    """Whether a score is the logit's sigmoid or the logit itself."""
    max_tokens: int
    sample: RerankJob
    """A job in which all parts of the network take part."""
    abilities: tuple[str, ...] = ()
    """As in ModelInfo."""
