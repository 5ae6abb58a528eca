"""The last hidden states of any text generator: the output of its last norm, of which the head would make logits.

Families nest their layers in many ways, and some change the logits. All of them end with one norm, which is an
attribute of the same module as the list of layers. MLX computes only what is asked for, so the logits cost nothing.
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
    """Stands in for a model's last norm, and keeps the output of its last forward pass."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self._outputs: list[Any] = []

    def __call__(self, *args: Any, **options: Any) -> Any:
        found = self.layer(*args, **options)
        self._outputs.append(found)
        return found

    @property
    def weight(self) -> Any:
        """Some models read their dtype from it."""
        return self.layer.weight

    def take(self, texts: int, tokens: int) -> mx.array:
        """(texts, tokens, size). Raises InvalidInput where the layer was called otherwise than once, for all tokens."""
        outputs, self._outputs = self._outputs, []
        if (
            len(outputs) != 1
            or not isinstance(outputs[0], mx.array)
            or outputs[0].shape[:-1] != (texts, tokens)
        ):
            raise InvalidInput("where this model's last hidden states are is not known.", param="model")
        return outputs[0]


def capture_last_hidden_state(model: Any) -> LastHiddenState:
    """Put a LastHiddenState in place of the norm behind the model's layers, and remove the head, which is not needed.

    Raises InvalidInput for a model whose layers or norm are not found.
    """
    layers = list(getattr(model, "layers", None) or ())
    for module in model.modules():
        lists = [value for value in module.values() if isinstance(value, list)]
        if not layers or not any(value and value[0] is layers[0] for value in lists):
            continue
        for name in LAST_NORMS:
            if isinstance(module.get(name), nn.Module):
                captured = LastHiddenState(module[name])
                module[name] = captured
                _remove_head(model)
                return captured
    raise InvalidInput("where this model's last hidden states are is not known.", param="model")


def _remove_head(model: Any) -> None:
    for module in model.modules():
        if isinstance(module.get("lm_head"), nn.Module):
            module["lm_head"] = nn.Identity()
