"""A folder's safetensors files as the weights of a module, quantised or not."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import mlx.core as mx
from mlx import nn

from jobs.errors import InvalidInput
from workers.runners.checkpoint.folder import no_weights, weight_files

M = TypeVar("M", bound=nn.Module)

Renaming = Sequence[tuple[re.Pattern[str], str]]


def read_weights(folder: Path) -> dict[str, mx.array]:
    """All arrays of the folder's safetensors files by name, not in memory yet. Raises InvalidInput if it has none, or
    a file is none.
    """
    files = weight_files(folder)
    if not files:
        raise InvalidInput(f"{folder} holds no .safetensors file; convert its weights first.", param="model")
    weights: dict[str, mx.array] = {}
    for file in files:
        try:
            weights.update(mx.load(str(file)))  # pyright: ignore[reportArgumentType, reportCallIssue]
        except RuntimeError as error:
            raise no_weights(file, error) from error
    return weights


def without_buffers(weights: dict[str, mx.array]) -> dict[str, mx.array]:
    """Files of masked-language models carry position ids as a buffer, and conversions the rotary frequencies."""
    return {k: v for k, v in weights.items() if not k.endswith(("position_ids", "rotary_emb.inv_freq"))}


def renamed(named: dict[str, Any], renaming: Renaming, unused: re.Pattern[str]) -> dict[str, Any]:
    """What goes by weights' names, under the network's own names; unknown names stay as they are."""
    found: dict[str, Any] = {}
    for name, value in named.items():
        if not unused.search(name):
            for pattern, ours in renaming:
                name, hits = pattern.subn(ours, name)
                if hits:
                    break
            found[name] = value
    return found


def renamed_checkpoint(
    folder: Path, config: dict[str, Any], renaming: Renaming, unused: re.Pattern[str]
) -> tuple[dict[str, mx.array], dict[str, Any]]:
    """The folder's weights and config.json's quantisation, under the network's own names. Raises InvalidInput."""
    weights = renamed(read_weights(folder), renaming, unused)
    return weights, renamed(config.get("quantization") or {}, renaming, unused)


def head_rows(
    names: Sequence[str],
    weights: dict[str, mx.array],
    tokens: Sequence[int],
    quantisation: dict[str, Any] | None,
) -> mx.array:
    """These tokens' rows of the language model's head, not quantised: (tokens, hidden).

    names: what the head may be called, the table of embeddings last, which many models share with it. (0, 0) where
    there is none of them: filling a network with it says what is missing. quantisation: config.json's.
    """
    found = [name for name in names if f"{name}.weight" in weights]
    if not found:
        return mx.zeros((0, 0))
    name, chosen = found[0], mx.array(tuple(tokens))
    rows = weights[f"{name}.weight"][chosen]
    if not quantisation or f"{name}.scales" not in weights:
        return rows
    own = quantisation.get(name)
    how = own if isinstance(own, dict) else quantisation
    biases = weights.get(f"{name}.biases")
    return mx.dequantize(
        rows,
        weights[f"{name}.scales"][chosen],
        None if biases is None else biases[chosen],
        group_size=how["group_size"],
        bits=how["bits"],
        mode=how.get("mode", "affine"),
    )


def _quantise(model: nn.Module, quantisation: dict[str, Any], weights: dict[str, mx.array]) -> None:
    """Make those layers quantised ones whose weights are."""

    def chosen(path: str, module: nn.Module) -> bool | dict[str, Any]:
        if not hasattr(module, "to_quantized") or f"{path}.scales" not in weights:
            return False
        return quantisation.get(path) or True

    nn.quantize(
        model,
        group_size=quantisation["group_size"],
        bits=quantisation["bits"],
        mode=quantisation.get("mode", "affine"),
        class_predicate=chosen,
    )


def fill(
    model: M, weights: dict[str, mx.array], folder: Path, quantisation: dict[str, Any] | None = None
) -> M:
    """The model with these weights, every one of which must have its place. Raises InvalidInput.

    quantisation: config.json's.
    """
    if quantisation:
        _quantise(model, quantisation, weights)
    try:
        model.load_weights(list(weights.items()), strict=True)
    except ValueError as error:
        raise InvalidInput(f"{folder}: the weights do not fit config.json: {error}", param="model") from error
    suit_device(model)
    model.eval()
    return model


def suit_device(model: nn.Module) -> None:
    """A CPU multiplies half precision many times slower, and less exactly. Packed integers stay as they are."""
    if mx.default_device() == mx.Device(mx.cpu):
        model.set_dtype(mx.float32)
