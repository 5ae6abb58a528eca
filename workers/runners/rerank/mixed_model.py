"""Qwen3-VL-Reranker, opened: queries and documents may hold pictures."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from mlx import nn

from jobs.content import ImagePart
from jobs.errors import InvalidInput
from jobs.rerank import RerankJob
from workers.runners.layers.pooling import pool
from workers.runners.rerank.mixed_prompts import PagePair, PageReader
from workers.runners.rerank.model import RerankModel
from workers.runners.rerank.networks import yes_over_no
from workers.runners.rerank.recipe import check_answers
from workers.runners.rerank.shared_prefix import State, grouped, spread
from workers.runners.vision.images import blank_picture
from workers.runners.vision.mixed_input import Row, row
from workers.runners.vision.qwen3_vl import Qwen3VL
from workers.runners.vision.qwen3_vl_checkpoint import open_qwen3_vl_files
from workers.scheduling.batch_shapes import plans_per_shape, rounded_length

logger = logging.getLogger(__name__)

PAGE_TYPE = "qwen3_vl"
PAGE_NAME = "qwen3-vl-rerank"
ARCHITECTURE = "Qwen3VLForConditionalGeneration"


class PageBeginnings(NamedTuple):
    """Different beginnings, and which of them each pair of a batch goes on from."""

    rows: list[Row]
    of_pair: list[int]


class PageBatch(NamedTuple):
    """rows: of each pair what its beginning leaves, or all. lengths: their tokens. width: the same, with padding on
    the right.
    """

    rows: Sequence[Row]
    width: int
    beginnings: PageBeginnings | None = None

    @property
    def lengths(self) -> list[int]:
        return [len(each.ids) for each in self.rows]


class YesOrNoPages(nn.Module):
    """Qwen3-VL-Reranker: the last token's logit of "yes" less that of "no" (workers.runners.rerank.model.Network)."""

    def __init__(self, body: Qwen3VL) -> None:
        super().__init__()
        self.body = body

    def logits(self, batch: PageBatch) -> mx.array:
        assert self.body.score is not None, "opened with both answers"
        hidden = pool(self._hidden(batch), mx.array(batch.lengths), "lasttoken")
        return yes_over_no(self.body.score(hidden))

    def _hidden(self, batch: PageBatch) -> mx.array:
        """Beginnings as workers.runners.rerank.shared_prefix.continued has them for texts."""
        beginnings = batch.beginnings
        if beginnings is None:
            return self.body(batch.rows, batch.width)
        states = [State() for _ in self.body.language.layers]
        lengths = [len(each.ids) for each in beginnings.rows]
        self.body(beginnings.rows, max(lengths), states=states)
        mask = spread(states, lengths, beginnings.of_pair, batch.width)
        return self.body(batch.rows, batch.width, mask, states)


class PageBatches:
    """Items as their batch."""

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._rounds_shapes = plans_per_shape()

    def __call__(self, items: Sequence[PagePair]) -> PageBatch:
        longest = max(item.length for item in items)
        if self._rounds_shapes:  # beginnings would make too many
            return PageBatch([row(item) for item in items], rounded_length(longest, self._max_tokens))
        found = grouped(items)
        if found is None:
            return PageBatch([row(item) for item in items], longest)
        rows = [row(item, item.shared) for item in items]
        begun = [row(items[n], end=items[n].shared) for n in found.firsts]
        return PageBatch(rows, max(len(each.ids) for each in rows), PageBeginnings(begun, found.of_pair))


def open_pages(folder: Path, config: dict[str, Any]) -> RerankModel:
    """Raises InvalidInput, saying what in the folder is not supported."""
    _check(folder, config)
    files = open_qwen3_vl_files(folder)
    reader = PageReader(
        folder / "tokenizer.json",
        files.cut,
        max_tokens=files.max_tokens,
        vocab_size=files.vocab_size,
        image_token=files.image_token,
    )

    def network() -> YesOrNoPages:
        return YesOrNoPages(files.network(reader.answers))

    picture = (ImagePart(blank_picture()),)
    return RerankModel(
        reader,
        PageBatches(files.max_tokens),
        network,
        sigmoid=True,
        max_tokens=files.max_tokens,
        sample=RerankJob(model="", query="a", documents=("a", picture)),
        abilities=("vision",),
    )


def _check(folder: Path, config: dict[str, Any]) -> None:
    """Other rerankers are of the same type, and want other prompts or have other heads."""
    architectures = [str(each) for each in config.get("architectures") or ()]
    if not {ARCHITECTURE}.issuperset(architectures) or config.get("auto_map"):
        raise InvalidInput(
            f"{folder}: {', '.join(architectures)} is no Qwen3-VL-Reranker ({ARCHITECTURE}), the only reranker of "
            f"type {PAGE_TYPE} that is supported.",
            param="model",
        )
    check_answers(folder, "Qwen3-VL-Reranker")
    if PAGE_NAME not in str(folder).lower():
        logger.warning("model is asked as Qwen3-VL-Reranker is", extra={"folder": str(folder)})
