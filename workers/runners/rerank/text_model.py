"""Rerankers that read texts alone, opened: cross-encoders and Qwen3-Reranker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from tokenizers import Tokenizer

from jobs.errors import JobError
from jobs.rerank import RerankJob
from workers.runners.contract import caught
from workers.runners.rerank.item import Question, Reader, RerankItem, question_of
from workers.runners.rerank.load_network import load_network
from workers.runners.rerank.model import RerankModel
from workers.runners.rerank.networks import PairBatch, PairNetwork
from workers.runners.rerank.pairs import PairReader
from workers.runners.rerank.prompts import PromptReader
from workers.runners.rerank.recipe import RerankRecipe, read_rerank_recipe
from workers.runners.rerank.shared_prefix import common_shared_prefix, shared_prefixes
from workers.runners.tokens.tokenizer import padded
from workers.scheduling.batch_shapes import plans_per_shape, rounded_length

SAMPLE = RerankJob(model="", query="a", documents=("a",))


def open_text_reranker(folder: Path, config: dict[str, Any]) -> RerankModel:
    """Raises InvalidInput, saying what in the folder is not supported."""
    recipe = read_rerank_recipe(folder, config)
    reader, answers = _open_reader(folder, config, recipe)

    def network() -> PairNetwork:
        return load_network(folder, config, answers)

    batch = PairBatches(recipe.max_tokens, int(config.get("pad_token_id") or 0))
    return RerankModel(TextJobs(reader), batch, network, recipe.sigmoid, recipe.max_tokens, SAMPLE)


def _open_reader(
    folder: Path, config: dict[str, Any], recipe: RerankRecipe
) -> tuple[Reader, tuple[int, int] | None]:
    """And the tokens "no" and "yes" of a model whose language head scores."""
    path, vocabulary = folder / "tokenizer.json", int(config["vocab_size"])
    if recipe.prompted:
        reader = PromptReader(path, recipe.max_tokens, vocabulary)
        return reader, None if recipe.has_classifier else reader.answers
    pairs = PairReader(
        path, recipe.max_tokens, vocabulary, lowercase=recipe.lowercase, token_types=recipe.token_types
    )
    return pairs, None


class TextJobs:
    """Reads jobs without images (workers.runners.rerank.model.JobReader)."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._reader.text_tokenizer

    def read(self, jobs: Sequence[RerankJob]) -> Sequence[list[RerankItem] | JobError]:
        """Every pair of every job tokenised together, so that all cores work on them."""
        questions = [caught(question_of, job) for job in jobs]
        found = iter(self._reader.read([each for each in questions if isinstance(each, Question)]))
        return [each if isinstance(each, JobError) else next(found) for each in questions]


class PairBatches:
    """Items side by side, padded on the right."""

    def __init__(self, max_tokens: int, pad: int) -> None:
        """pad: the token that padding is."""
        self._max_tokens = max_tokens
        self._pad = pad
        self._rounds_shapes = plans_per_shape()

    def __call__(self, items: Sequence[RerankItem]) -> PairBatch:
        prefixes = common_shared_prefix(items) if self._rounds_shapes else shared_prefixes(items)
        skipped = prefixes.lengths if prefixes else [0] * len(items)
        rows = [item.ids[skip:] for item, skip in zip(items, skipped, strict=True)]
        lengths = np.fromiter(map(len, rows), dtype=np.int32, count=len(rows))
        longest = int(lengths.max())
        if self._rounds_shapes:
            longest = rounded_length(longest, self._max_tokens)
        on_device = mx.array(lengths)
        typed = items[0].types is not None
        types = [item.types for item in items if item.types is not None]
        return PairBatch(
            ids=mx.array(padded(rows, longest, self._pad)),
            types=mx.array(padded(types, longest)) if typed else None,
            lengths=on_device,
            real=None if int(lengths.min()) == longest else mx.arange(longest) < on_device[:, None],
            prefixes=prefixes,
        )
