"""What maps a batch of pairs to one logit each: our text encoders with a head behind them.

`logits` of each: float32, (pairs,), not computed yet. Heads compute in float32, whatever the weights are: half
precision has too few digits for a score, or for the difference of two logits.

The cross-encoders' heads are mlx-vlm's, which are transformers': BERT a dense layer, tanh and a classifier over the
first token; XLM-RoBERTa the same under other names; ModernBERT a dense layer, GELU and a norm over the first token or
the mean.
"""

from typing import Any, NamedTuple

import mlx.core as mx
from mlx import nn
from mlx_vlm.models import bert, modernbert, qwen3_embedding, xlm_roberta

from workers.runners.checkpoint.architecture import check_config
from workers.runners.layers import text_encoders
from workers.runners.layers.text_encoders import ExactGelu, key_mask
from workers.runners.layers.vectors import pool
from workers.runners.rerank.shared_prefix import SharedPrefixes, hidden_after_prefixes

CLASSIFIER = {"classifier_pooling": ("cls", "mean"), "classifier_activation": ("gelu",)}
"""What a ModernBERT's classifier must be."""


class PairBatch(NamedTuple):
    """Pairs side by side."""

    ids: mx.array
    """int32 (pairs, tokens), padded on the right: of each pair, what follows its prefix."""
    types: mx.array | None
    """Token types, shaped as the ids; None for a model without an embedding for them."""
    lengths: mx.array
    """(pairs,): tokens without padding."""
    real: mx.array | None
    """(pairs, tokens), False at padding; None where there is none."""
    prefixes: SharedPrefixes | None = None
    """None where the ids are the whole pairs."""


class BertPairs(text_encoders.Bert, bert.bert.SequenceClassificationModel):
    def logits(self, batch: PairBatch) -> mx.array:
        hidden = self.encoder(self.embeddings(batch.ids, batch.types), key_mask(batch.real))
        return _column(self.classifier(self.pooler(hidden[:, :1].astype(mx.float32))))


class XLMRobertaPairs(text_encoders.XLMRoberta, xlm_roberta.SequenceClassificationModel):
    def logits(self, batch: PairBatch) -> mx.array:
        hidden = self.hidden(batch.ids, batch.real)
        return _column(self.classifier(hidden[:, :1].astype(mx.float32)))


class ModernBertPairs(text_encoders.ModernBert, modernbert.modernbert.SequenceClassificationModel):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.head.act = ExactGelu()

    def logits(self, batch: PairBatch) -> mx.array:
        pooled = pool(self.hidden(batch.ids, batch.real), batch.lengths, self.config.classifier_pooling)
        return _column(self.classifier(self.head(pooled)))


class YesOrNo(text_encoders.Qwen3):
    """Qwen3-Reranker: the last token's logit of "yes" less that of "no".

    Only these two rows of the language model's head are kept, or the one row of their difference that conversions to
    a classifier have.
    """

    def __init__(self, config: Any, rows: int) -> None:
        super().__init__(config)
        self.score = nn.Linear(config.hidden_size, rows, bias=False)

    def logits(self, batch: PairBatch) -> mx.array:
        if batch.prefixes:
            hidden = hidden_after_prefixes(self.model, batch.prefixes, batch.ids)
        else:
            hidden = self.hidden(batch.ids, batch.real)
        scores = self.score(pool(hidden, batch.lengths, "lasttoken"))
        return _column(scores) if scores.shape[-1] == 1 else yes_over_no(scores)

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The base class would rename the head as a part of the decoder."""
        head = {name: weight for name, weight in weights.items() if name.startswith("score.")}
        return super().sanitize({k: v for k, v in weights.items() if k not in head}) | head


PairNetwork = BertPairs | XLMRobertaPairs | ModernBertPairs | YesOrNo


def build_network(config: dict[str, Any], rows: int) -> PairNetwork:
    """The network of config's model_type, weights not yet loaded. config: as library_config returns it.

    rows: of a Qwen3-Reranker's head. Raises InvalidInput for a head that is not supported.
    """
    config = {**config, "num_labels": 1}
    match config["model_type"]:
        case "bert":
            return BertPairs(bert.ModelConfig.from_dict(config))
        case "xlm-roberta":
            return XLMRobertaPairs(xlm_roberta.ModelConfig.from_dict(config))
        case "modernbert":
            check_config("modernbert model", config, CLASSIFIER)
            return ModernBertPairs(modernbert.ModelConfig.from_dict(config))
        case "qwen3":
            return YesOrNo(qwen3_embedding.ModelConfig.from_dict(config), rows)
        case other:
            raise ValueError(f"no network for model type {other!r}")


def yes_over_no(scores: mx.array) -> mx.array:
    """scores: of "no" and "yes", (pairs, 2)."""
    return scores[:, 1] - scores[:, 0]


def _column(logits: mx.array) -> mx.array:
    return logits[:, 0]
