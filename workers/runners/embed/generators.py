"""Text generators as embedding models: a text's vector is the mean of its tokens' last hidden states."""

from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_lm.utils import load_adapters, load_model

from jobs.errors import InvalidInput
from workers.runners.embed.model import EmbedModel, Network
from workers.runners.embed.recipe import Recipe
from workers.runners.embed.tap import tap_last_norm
from workers.runners.folder import read_json

UNLIMITED = 1 << 30
"""Tokens of a model whose files name no limit, as of one whose state is recurrent."""


class TextGenerator(nn.Module):
    """A text model of mlx-lm (workers.runners.embed.model.Encoder)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._tap = tap_last_norm(model)

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        # It reads from left to right, and is padded on the right: a real token never sees padding.
        self.model(ids)
        return self._tap.take(*ids.shape)


def open_generator(folder: Path, adapter: Path | None) -> EmbedModel:
    """A text generator's folder. adapter: LoRA weights for it, as mlx_lm.lora makes them. Raises InvalidInput."""
    config = read_json(folder / "config.json")
    check_reads_onwards(folder, config)
    text: dict[str, Any] = {**config, **(config.get("text_config") or {})}
    return EmbedModel(
        pooled_recipe(folder, text), partial(_network, folder, adapter), int(text["vocab_size"]), pad=0
    )


def pooled_recipe(folder: Path, text_config: dict[str, Any]) -> Recipe:
    """The mean of all tokens. An instruction, which nothing was trained on, goes before the text as it is."""
    tokenizer = read_json(folder / "tokenizer_config.json").get("model_max_length")
    named = (text_config.get(name) for name in ("max_position_embeddings", "n_positions", "max_seq_len"))
    limits = [int(limit) for limit in (tokenizer, *named) if limit and 0 < limit < UNLIMITED]
    return Recipe(
        pooling="mean",
        dense=(),
        prompts={},
        default_prompt_name=None,
        instruction_frame=("", ""),
        max_tokens=min(limits, default=UNLIMITED),
        lowercase=False,
        min_dimensions=None,
        cuts=(),
    )


def check_reads_onwards(folder: Path, config: dict[str, Any]) -> None:
    """Raises InvalidInput for a model that was made an encoder, in which each token sees those after it."""
    architectures = " ".join(map(str, config.get("architectures") or ()))
    both_ways = config.get("is_causal") is False or config.get("use_bidirectional_attention")
    if both_ways or "Bidir" in architectures:
        raise InvalidInput(
            f"{folder.name} reads both ways ({architectures or 'by its config.json'}): it is an encoder, which cannot "
            "be served as a text generator's mean.",
            param="model",
        )


def _network(folder: Path, adapter: Path | None) -> Network:
    try:
        model: Any = load_model(folder, lazy=True)[0]
        if adapter:
            model = load_adapters(model, str(adapter))
            model.eval()
        encoder = TextGenerator(model)
        encoder.hidden(
            mx.zeros((1, 2), dtype=mx.int32), None
        )  # nothing is computed, but what cannot be, is found
    except InvalidInput as error:
        raise InvalidInput(f"{folder.name} cannot embed: {error.message}", param="model") from error
    except (ValueError, FileNotFoundError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput(f"{folder.name} cannot be loaded by mlx-lm: {error}.", param="model") from error
    return Network(encoder, [])
