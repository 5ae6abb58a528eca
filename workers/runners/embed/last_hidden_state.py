"""The last hidden states of any text generator: what its last norm makes, which its head would turn into scores.

Families nest their layers in many ways, and some change the head's scores; but all end their layers with one norm,
beside the list of them. MLX computes nothing that is not asked for, so the scores cost nothing.
"""

from typing import Any

import mlx.core as mx
from mlx import nn

from jobs.errors import InvalidInput

LAST_NORMS = (
    "norm",
    "norm_f",
    "final_norm",
    "final_layernorm",
    "final_layer_norm",
    "ln_f",
    "embedding_norm",
    "output_norm",
)


class LastHiddenState(nn.Module):
    """A layer, whose output of the last forward pass can be taken."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self._seen: list[Any] = []

    def __call__(self, *args: Any, **options: Any) -> Any:
        found = self.layer(*args, **options)
        self._seen.append(found)
        return found

    @property
    def weight(self) -> Any:
        """Some models look there for the type of their numbers."""
        return self.layer.weight

    def take(self, texts: int, tokens: int) -> mx.array:
        """(texts, tokens, size). Raises InvalidInput where the layer was called otherwise than once, for all tokens."""
        seen, self._seen = self._seen, []
        if len(seen) != 1 or not isinstance(seen[0], mx.array) or seen[0].shape[:-1] != (texts, tokens):
            raise InvalidInput("where this model's last hidden states are is not known.", param="model")
        return seen[0]


def capture_last_hidden_state(model: Any) -> LastHiddenState:
    """Put a tap on the norm behind the model's layers, and take its head away, whose weights nobody needs.

    Raises InvalidInput for a model whose layers or norm are not found.
    """
    layers = list(getattr(model, "layers", None) or ())
    for module in model.modules():
        lists = [value for value in module.values() if isinstance(value, list)]
        if not layers or not any(value and value[0] is layers[0] for value in lists):
            continue
        for name in LAST_NORMS:
            if isinstance(module.get(name), nn.Module):
                tap = LastHiddenState(module[name])
                module[name] = tap
                _remove_head(model)
                return tap
    raise InvalidInput("where this model's last hidden states are is not known.", param="model")


def _remove_head(model: Any) -> None:
    for module in model.modules():
        if isinstance(module.get("lm_head"), nn.Module):
            module["lm_head"] = nn.Identity()
