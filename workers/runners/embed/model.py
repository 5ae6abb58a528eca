"""What an embedding model's folder is opened as, whatever its architecture."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import mlx.core as mx
from mlx import nn

from workers.runners.checkpoint.folder import read_json
from workers.runners.checkpoint.lazy_weights import module_of
from workers.runners.embed.recipe import Recipe, read_recipe
from workers.runners.embed.weights import load_dense, load_encoder
from workers.runners.layers.pooling import Dense


class Encoder(Protocol):
    """An nn.Module."""

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        """The last layer's states, (texts, tokens, size), of ids (texts, tokens), padded on the right; those of padding
        mean nothing. real: (texts, tokens), False at padding; None where there is none.
        """
        ...


class Network(NamedTuple):
    """What maps token ids to vectors."""

    encoder: Encoder
    dense: list[Dense]

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return (module_of(self.encoder), *self.dense)


class EmbedModel(NamedTuple):
    """network: opens it, every weight accounted for, none read yet; raises InvalidInput. pad: what fills up short
    texts. abilities: as in ModelInfo.
    """

    recipe: Recipe
    network: Callable[[], Network]
    vocab_size: int
    pad: int
    abilities: tuple[str, ...] = ()


def open_embedding_model(folder: Path) -> EmbedModel:
    """That of a sentence-transformers or MLX folder. Raises InvalidInput, saying what in it is not supported."""
    config = read_json(folder / "config.json")
    recipe = read_recipe(folder, config)

    def network() -> Network:
        dense = [load_dense(path) for path in recipe.dense]
        return Network(load_encoder(folder, config), dense)

    return EmbedModel(recipe, network, int(config["vocab_size"]), int(config.get("pad_token_id") or 0))
