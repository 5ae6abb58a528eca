"""Qwen3-VL-Reranker, opened: queries and documents may hold images."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from mlx import nn

from jobs.content import ImagePart
from jobs.errors import InvalidInput
from jobs.rerank import RerankJob
from workers.runners.layers.vectors import pool
from workers.runners.rerank.mixed_prompts import MixedPair, MixedReader
from workers.runners.rerank.model import RerankModel
from workers.runners.rerank.networks import yes_over_no
from workers.runners.rerank.recipe import check_answers
from workers.runners.rerank.shared_prefix import PrefixKeyValues, expand, group_by_prefix
from workers.runners.vision.images import blank_image
from workers.runners.vision.mixed_input import Row, row
from workers.runners.vision.qwen3_vl import Qwen3VL
from workers.runners.vision.qwen3_vl_checkpoint import open_qwen3_vl_files
from workers.scheduling.batch_shapes import plans_per_shape, rounded_length

logger = logging.getLogger(__name__)

NAME = "qwen3-vl-rerank"
ARCHITECTURE = "Qwen3VLForConditionalGeneration"


class MixedPrefixes(NamedTuple):
    """The different prefixes of a batch's pairs."""

    rows: list[Row]
    """Of each prefix."""
    of_pair: list[int]
    """Of each pair, the index of its prefix."""


class MixedBatch(NamedTuple):
    """Pairs side by side, padded on the right."""

    rows: Sequence[Row]
    """Of each pair, what follows its prefix; all of it where there are no prefixes."""
    width: int
    """Tokens of each row, padding included."""
    prefixes: MixedPrefixes | None = None

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row, without padding."""
        return [len(each.ids) for each in self.rows]


class MixedYesOrNo(nn.Module):
    """Qwen3-VL-Reranker: the last token's logit of "yes" less that of "no" (workers.runners.rerank.model.Network)."""

    def __init__(self, body: Qwen3VL) -> None:
        super().__init__()
        self.body = body

    def logits(self, batch: MixedBatch) -> mx.array:
        assert self.body.score is not None, "opened with both answers"
        hidden = pool(self._hidden(batch), mx.array(batch.lengths), "lasttoken")
        return yes_over_no(self.body.score(hidden))

    def _hidden(self, batch: MixedBatch) -> mx.array:
        """Prefixes are computed as workers.runners.rerank.shared_prefix.hidden_after_prefixes does it for texts."""
        prefixes = batch.prefixes
        if prefixes is None:
            return self.body(batch.rows, batch.width)
        caches = [PrefixKeyValues() for _ in self.body.language.layers]
        lengths = [len(each.ids) for each in prefixes.rows]
        self.body(prefixes.rows, max(lengths), caches=caches)
        mask = expand(caches, lengths, prefixes.of_pair, batch.width)
        return self.body(batch.rows, batch.width, mask, caches)


class MixedBatches:
    """Makes a batch of items."""

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._rounds_shapes = plans_per_shape()

    def __call__(self, items: Sequence[MixedPair]) -> MixedBatch:
        longest = max(item.length for item in items)
        if self._rounds_shapes:  # prefixes would make too many
            return MixedBatch([row(item) for item in items], rounded_length(longest, self._max_tokens))
        found = group_by_prefix(items)
        if found is None:
            return MixedBatch([row(item) for item in items], longest)
        rows = [row(item, item.prefix_tokens) for item in items]
        prefixes = [row(items[n], end=items[n].prefix_tokens) for n in found.firsts]
        return MixedBatch(rows, max(len(each.ids) for each in rows), MixedPrefixes(prefixes, found.of_pair))


def open_mixed_reranker(folder: Path, config: dict[str, Any]) -> RerankModel:
    """Raises InvalidInput, saying what in the folder is not supported."""
    _check(folder, config)
    files = open_qwen3_vl_files(folder)
    reader = MixedReader(
        folder / "tokenizer.json",
        files.patching,
        max_tokens=files.max_tokens,
        vocab_size=files.vocab_size,
        image_token=files.image_token,
    )

    def network() -> MixedYesOrNo:
        return MixedYesOrNo(files.network(reader.answers))

    image = (ImagePart(blank_image()),)
    return RerankModel(
        reader,
        MixedBatches(files.max_tokens),
        network,
        sigmoid=True,
        max_tokens=files.max_tokens,
        sample=RerankJob(model="", query="a", documents=("a", image)),
        abilities=("vision",),
    )


def _check(folder: Path, config: dict[str, Any]) -> None:
    """Other rerankers are of the same type, and want other prompts or have other heads."""
    architectures = [str(each) for each in config.get("architectures") or ()]
    if not {ARCHITECTURE}.issuperset(architectures) or config.get("auto_map"):
        raise InvalidInput(
            f"{folder}: {', '.join(architectures)} is no Qwen3-VL-Reranker ({ARCHITECTURE}), the only reranker of "
            "type qwen3_vl that is supported.",
            param="model",
        )
    check_answers(folder, "Qwen3-VL-Reranker")
    if NAME not in str(folder).lower():
        logger.warning("model is asked as Qwen3-VL-Reranker is", extra={"folder": str(folder)})
