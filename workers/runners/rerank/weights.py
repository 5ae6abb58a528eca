"""A reranker's folder as a network: its encoder's weights and its head's, quantised or not."""

from pathlib import Path
from typing import Any

import mlx.core as mx

from workers.runners.architecture import library_config
from workers.runners.rerank.networks import PairNetwork, build_network
from workers.runners.weights import fill, read_weights, without_buffers


def load_network(folder: Path, config: dict[str, Any], answers: tuple[int, int] | None) -> PairNetwork:
    """Every one of its weights accounted for; they are read when first used. Raises InvalidInput.

    answers: the tokens "no" and "yes", whose rows of the language model's head are taken; None where the folder holds
    a classifier.
    """
    weights = read_weights(folder)
    quantisation = config.get("quantization")
    network = build_network(library_config(config), rows=2 if answers else 1)
    if answers:
        weights["score.weight"] = _rows(weights, answers, quantisation)
    return fill(network, without_buffers(network.sanitize(weights)), folder, quantisation)


def _rows(
    weights: dict[str, mx.array], tokens: tuple[int, int], quantisation: dict[str, Any] | None
) -> mx.array:
    """These tokens' rows of the head, which many models share with the table of embeddings: (2, hidden)."""
    heads = [
        name for name in ("lm_head", "model.embed_tokens", "embed_tokens") if f"{name}.weight" in weights
    ]
    if not heads:
        return mx.zeros((0, 0))  # filling the network in says what is missing
    name, chosen = heads[0], mx.array(tokens)
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
