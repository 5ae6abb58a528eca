"""What a multi-vector model's folder is opened as, whatever its family."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import mlx.core as mx

from workers.runners.folder import read_json
from workers.runners.late.prompts import PagePrompts
from workers.runners.pages.items import PageItem


class Network(Protocol):
    """An nn.Module that keeps nothing of one batch for the next. dimensions: of its vectors."""

    dimensions: int

    def __call__(self, items: Sequence[PageItem], width: int) -> mx.array:
        """A unit-length vector for each token, float32 (items, width, dimensions); those of padding mean nothing."""
        ...


class LateModel(NamedTuple):
    """prompts: what makes items of inputs. network: opens it, every weight accounted for, none read yet; raises
    InvalidInput.
    """

    prompts: PagePrompts
    network: Callable[[], Network]
    max_tokens: int


def max_tokens(folder: Path, positions: int) -> int:
    """The least of what the positions and the tokenizer allow."""
    limit = read_json(folder / "tokenizer_config.json").get("model_max_length")
    return min(positions, int(limit)) if limit else positions


def query_prefix(folder: Path, usual: str) -> str:
    """transformers' processors let a checkpoint name its own."""
    return read_json(folder / "processor_config.json").get("query_prefix") or usual
