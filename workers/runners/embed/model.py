"""What an embedding model's folder is opened as, whatever its architecture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import mlx.core as mx
from mlx import nn

from workers.runners.checkpoint.folder import read_json
from workers.runners.embed.load_encoder import load_dense, load_encoder
from workers.runners.embed.recipe import Recipe, read_recipe
from workers.runners.layers.text_encoders import Gemma
from workers.runners.layers.vectors import Dense


class Encoder(Protocol):
    """An nn.Module."""

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        """The last layer's states, (texts, tokens, size), of ids (texts, tokens), padded on the right; those of padding
        mean nothing. real: (texts, tokens), False at padding; None where there is none.
        """
        ...


class Network(nn.Module):
    """What maps token ids to vectors: an encoder, and the dense layers after its pooling."""

    def __init__(self, encoder: Encoder, dense: Sequence[Dense | nn.Linear]) -> None:
        super().__init__()
        self.encoder: Encoder = encoder
        self.dense = [*dense]


class EmbedModel(NamedTuple):
    """An embedding model's folder, opened."""

    recipe: Recipe
    network: Callable[[], Network]
    """Opens the network, every weight accounted for, none read yet. Raises InvalidInput."""
    vocab_size: int
    pad: int
    """The token that fills up short texts."""
    abilities: tuple[str, ...] = ()
    """As in ModelInfo."""


def open_embedding_model(folder: Path) -> EmbedModel:
    """That of a sentence-transformers or MLX folder. Raises InvalidInput, saying what in it is not supported."""
    config = read_json(folder / "config.json")
    recipe = read_recipe(folder, config)

    def network() -> Network:
        dense = [load_dense(path) for path in recipe.dense]
        encoder = load_encoder(folder, config)
        return Network(encoder, [*dense, *(_dense_moved_out(encoder) if isinstance(encoder, Gemma) else ())])

    return EmbedModel(recipe, network, int(config["vocab_size"]), int(config.get("pad_token_id") or 0))


def _dense_moved_out(encoder: Gemma) -> list[nn.Linear]:
    """MLX conversions of EmbeddingGemma keep its dense layers among the encoder's weights."""
    dense, encoder.dense = encoder.dense, []
    return dense
