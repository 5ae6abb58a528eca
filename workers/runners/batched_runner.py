"""How a runner whose items share batches is opened, loaded, launched and unloaded, whatever it computes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import mlx.core as mx
import numpy as np

from jobs.catalogue.details import ModelDetails
from jobs.errors import JobError
from jobs.models import ModelInfo
from workers.runners.checkpoint.lazy_weights import module_of, read, release, size_bytes
from workers.runners.contract import check_finite
from workers.scheduling.batch_shapes import plans_per_shape, rounded_length

Network = TypeVar("Network")
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class BatchedRunner(ABC, Generic[Network, Item, Outcome]):
    """What the runners of embedders and rerankers have in common (workers.runners.contract.BatchRunner).

    A subclass adds `prepare` and `assemble`, which any thread may call, and the four methods at the end of this class.
    All other methods belong to the device's thread.
    """

    info: ModelInfo
    details = ModelDetails()

    def __init__(self, folder: Path, open_network: Callable[[], Network]) -> None:
        """Opens the network; `load` reads its weights.

        open_network: every weight accounted for, none read yet; raises InvalidInput for what is not supported.
        """
        self._folder = folder
        self._open_network = open_network
        self._network: Network | None = open_network()
        self.weight_bytes = size_bytes(module_of(self._network))
        self._rounds_shapes = plans_per_shape()

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make an unsound outcome of a sample."""
        self._network = self._network or self._open_network()
        yield from read(module_of(self._network))
        for sample in self._samples():
            check_finite(self.run(sample), self._folder, self._outcome_name())  # builds lazy tables, too

    def unload(self) -> None:
        """Free the weights."""
        self._network = None
        release()

    def run(self, items: Sequence[Item]) -> Sequence[Outcome | JobError]:
        """A batch from start to end, as `launch` does it."""
        return self.launch(items)()

    def launch(self, items: Sequence[Item]) -> Callable[[], Sequence[Outcome | JobError]]:
        """Start a batch on the device. The call that is returned waits for one outcome per item: an InternalError for
        one that is not sound.
        """
        computed = self._compute(self._loaded(), items)
        mx.async_eval(computed)

        def wait() -> Sequence[Outcome | JobError]:
            mx.eval(computed)  # releases the GIL while the device works, which a conversion alone would not
            return self._outcomes(items, np.array(computed))

        return wait

    def _loaded(self) -> Network:
        assert self._network is not None, "loaded first"
        return self._network

    def _width(self, longest: int, max_tokens: int | None = None) -> int:
        """Tokens of a batch's rows, padding included. longest: tokens of its longest item."""
        return rounded_length(longest, max_tokens) if self._rounds_shapes else longest

    @abstractmethod
    def _samples(self) -> Sequence[Sequence[Item]]:
        """Batches in which all parts of the network take part."""

    @abstractmethod
    def _outcome_name(self) -> str:
        """For messages: vectors, …"""

    @abstractmethod
    def _compute(self, network: Network, items: Sequence[Item]) -> mx.array:
        """What the network makes of a batch, not computed yet: one row per item."""

    @abstractmethod
    def _outcomes(
        self, items: Sequence[Item], computed: np.ndarray[Any, Any]
    ) -> Sequence[Outcome | JobError]:
        """One per item, an error in place of each that is not sound."""
