"""Text generators as embedding models: a text's vector is the mean of its tokens' last hidden states, or what the
folder's sentence-transformers files say.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_lm.utils import load_adapters, load_model
from tokenizers import Tokenizer

from jobs.errors import InvalidInput
from workers.runners.checkpoint.folder import read_json, special_token
from workers.runners.checkpoint.weights import suit_device
from workers.runners.embed.last_hidden_state import capture_last_hidden_state
from workers.runners.embed.load_encoder import load_dense
from workers.runners.embed.model import EmbedModel, Encoder, Network
from workers.runners.embed.recipe import Recipe, read_recipe

MAX_TOKENS = 8192
"""Longest input, even where a model's files allow more. An input is read in one pass: some families make a mask of
tokens * tokens for it, and all keep every layer's states of every token.
"""


class TextGenerator(nn.Module):
    """A text model of mlx-lm (workers.runners.embed.model.Encoder)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._last_hidden_state = capture_last_hidden_state(model)

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        # It reads from left to right, and is padded on the right: a real token never sees padding.
        self.model(ids)
        return self._last_hidden_state.take(*ids.shape)


def open_text_generator(folder: Path, adapter: Path | None) -> EmbedModel:
    """A text generator's folder. adapter: LoRA weights for it, as mlx_lm.lora makes them. Raises InvalidInput."""
    config = read_json(folder / "config.json")
    check_is_causal(folder, config)
    recipe = recipe_of(folder, config)
    return EmbedModel(
        recipe, partial(_network, folder, adapter, recipe), _tokens_known(folder, config), pad=0
    )


def text_config_of(config: dict[str, Any]) -> dict[str, Any]:
    """config.json, of which some families have the language part apart."""
    return {**config, **(config.get("text_config") or {})}


def recipe_of(folder: Path, config: dict[str, Any]) -> Recipe:
    """As its sentence-transformers files say, or else the mean of all tokens. Raises InvalidInput for what they ask for
    and is not supported.
    """
    limit = _max_tokens(folder, text_config_of(config))
    if (folder / "modules.json").is_file() or (folder / "1_Pooling").is_dir():
        _check_end(folder)
        return read_recipe(folder, {**config, "max_position_embeddings": limit})
    return Recipe(
        pooling="mean",
        dense=(),
        prompts={},
        default_prompt_name=None,
        instruction_frame=("", ""),  # nothing was trained on one: it goes before the text as it is
        max_tokens=limit,
        lowercase=False,
        min_dimensions=None,
        cuts=(),
    )


def _max_tokens(folder: Path, text_config: dict[str, Any]) -> int:
    tokenizer = read_json(folder / "tokenizer_config.json").get("model_max_length")
    named = (text_config.get(name) for name in ("max_position_embeddings", "n_positions", "max_seq_len"))
    limits = [int(limit) for limit in (tokenizer, *named) if limit and limit > 0]
    return min([MAX_TOKENS, *limits])


def _check_end(folder: Path) -> None:
    """Raises InvalidInput for a tokenizer whose files contradict each other, as e5-mistral-7b-instruct's do: by its
    config it ends each text with a token, whose state may be the vector, and by tokenizer.json it does not.
    """
    names = read_json(folder / "tokenizer_config.json")
    end = special_token(names, "eos")
    path = folder / "tokenizer.json"
    if not names.get("add_eos_token") or not isinstance(end, str) or not path.is_file():
        return
    if Tokenizer.from_file(str(path)).encode("a").tokens[-1:] != [end]:
        raise InvalidInput(
            f"{folder}: tokenizer_config.json has add_eos_token, but the post_processor of tokenizer.json, which is "
            f"used, puts no {end} after a text. Add it there.",
            param="model",
        )


def check_is_causal(folder: Path, config: dict[str, Any]) -> None:
    """Raises InvalidInput for a model that was made an encoder: its tokens attend to those after them."""
    architectures = " ".join(map(str, config.get("architectures") or ()))
    both_ways = config.get("is_causal") is False or config.get("use_bidirectional_attention")
    if both_ways or "Bidir" in architectures:
        raise InvalidInput(
            f"{folder.name} reads both ways ({architectures or 'by its config.json'}): it is an encoder, which cannot "
            "be served as a text generator's mean.",
            param="model",
        )


def _tokens_known(folder: Path, config: dict[str, Any]) -> int:
    """Rows of the table of embeddings. Some files leave it to the code that reads them. Raises InvalidInput."""
    found = text_config_of(config).get("vocab_size")
    if found is None:
        found = getattr(_loaded(folder, None).args, "vocab_size", None)
    if found is None:
        raise InvalidInput(f"{folder / 'config.json'} names no vocab_size.", param="model")
    return int(found)


def _loaded(folder: Path, adapter: Path | None) -> Any:
    """mlx-lm's model, weights not read yet. Raises InvalidInput."""
    try:
        model: Any = load_model(folder, lazy=True)[0]
        if adapter:
            model = load_adapters(model, str(adapter))
            model.eval()
    except (ValueError, FileNotFoundError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput(f"{folder.name} cannot be loaded by mlx-lm: {error}.", param="model") from error
    return model


def _network(folder: Path, adapter: Path | None, recipe: Recipe) -> Network:
    return network_of(folder, _loaded(folder, adapter), TextGenerator, recipe)


def network_of(
    folder: Path, model: nn.Module, make_encoder: Callable[[Any], Encoder], recipe: Recipe
) -> Network:
    """The library's model, its weights not read yet, as one that embeds. make_encoder: makes it an encoder. Raises
    InvalidInput.
    """
    suit_device(model)
    try:
        encoder = make_encoder(model)
        # Nothing is computed, but a model that cannot be run this way raises here.
        encoder.hidden(mx.zeros((1, 2), dtype=mx.int32), None)
    except InvalidInput as error:
        raise InvalidInput(f"{folder.name} cannot embed: {error.message}", param="model") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput(f"{folder.name} cannot embed: {error}.", param="model") from error
    return Network(encoder, [load_dense(path) for path in recipe.dense])
