"""A reranker's folder as a network: its encoder's weights and its head's, quantised or not."""

from pathlib import Path
from typing import Any

from workers.runners.checkpoint.architecture import library_config
from workers.runners.checkpoint.weights import fill, head_rows, read_weights, without_buffers
from workers.runners.rerank.networks import PairNetwork, build_network

HEADS = ("lm_head", "model.embed_tokens", "embed_tokens")
"""What files call a language model's head; many models share it with the table of embeddings."""


def load_network(folder: Path, config: dict[str, Any], answers: tuple[int, int] | None) -> PairNetwork:
    """Every one of its weights accounted for; they are read when first used. Raises InvalidInput.

    answers: the tokens "no" and "yes", whose rows of the language model's head are taken; None where the folder holds
    a classifier.
    """
    weights = read_weights(folder)
    quantisation = config.get("quantization")
    network = build_network(library_config(config), rows=2 if answers else 1)
    if answers:
        weights["score.weight"] = head_rows(HEADS, weights, answers, quantisation)
    return fill(network, without_buffers(network.sanitize(weights)), folder, quantisation)
