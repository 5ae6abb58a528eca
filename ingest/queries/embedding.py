"""Vectors of queries, by the model that made those of a collection."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ingest.collections.fingerprint import Fingerprint
from ingest.queries.perform import Queue, perform
from jobs.content import MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InternalError, InvalidInput, NoWorker
from jobs.models import ModelInfo
from jobs.settings import Settings

Rows = np.ndarray[Any, np.dtype[np.float32]]

KEPT = 256
"""Queries whose vectors are remembered: the next filter, mode or heatmap asks for the same ones."""

Content = str | MixedInput


class QueryEmbedder:
    """Embeds queries as jobs of the interactive lane."""

    def __init__(self, queue: Queue, settings: Settings) -> None:
        self._queue = queue
        self._settings = settings
        self._kept: OrderedDict[tuple[str, Content], Rows] = OrderedDict()

    async def embed(self, maker: Fingerprint, content: Content) -> Rows:
        """(vectors, dimension); of a model with one vector a text, (1, dimension).

        Raises: NoWorker where no worker serves the maker's model, InvalidInput for an image that it cannot read, and
        what the queue raises.
        """
        key = (maker.key, content)
        found = self._kept.get(key)
        if found is None:
            [found] = await self.embed_all(maker, [content])
            self._kept[key] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found

    async def embed_all(self, maker: Fingerprint, contents: Sequence[Content]) -> list[Rows]:
        """Of each content what `embed` gives, by one job. Raises as it does."""
        model = serving(maker, await self._queue.models())
        if "vision" not in model.abilities and any(isinstance(each, MixedInput) for each in contents):
            raise InvalidInput(f"The model {model.id} reads no images: search with words.", param="image")
        result = await perform(
            self._queue, EmbedJob(model.id, tuple(contents), input_type="query"), self._settings
        )
        if not isinstance(result, EmbedResult):
            raise InternalError
        vectors = np.frombuffer(result.vectors, "<f4").reshape(-1, result.dimensions)
        counts = result.counts or (1,) * len(contents)
        return np.split(vectors, np.cumsum(counts)[:-1])


def serving(maker: Fingerprint, models: Sequence[ModelInfo]) -> ModelInfo:
    """The served model whose vectors can be compared with the maker's: that with its digest, whatever its name.

    Raises: NoWorker, which says what to start.
    """
    embedding = [each for each in models if each.task == "embed"]
    if maker.digest:
        for each in embedding:
            if each.digest == maker.digest:
                return each
    for each in embedding:
        if each.id == maker.model:
            if maker.digest and each.digest:
                raise NoWorker(
                    f"The model {maker.model} that is served now has other files than the one that made the "
                    "collection's vectors: they cannot be compared. Serve that one again, or make the collection's "
                    "vectors anew (mlxq ingest reembed)."
                )
            return each
    raise NoWorker(
        f"No worker serves {maker.model}, which made the collection's vectors. Start one: "
        f"mlxq up --model {maker.model}"
    )
