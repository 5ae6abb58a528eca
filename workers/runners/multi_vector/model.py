"""What a multi-vector model's folder is opened as, whatever its family."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import mlx.core as mx

from jobs.content import MixedInput
from jobs.embed import PatchGrid, Truncate
from workers.runners.checkpoint.folder import read_json
from workers.runners.multi_vector.text_prompts import Kept


class LateItem(Protocol):
    """An input as the model reads it. length: its tokens. kept: which of them have vectors that are handed out. grids:
    where among those the pictures' are.
    """

    @property
    def length(self) -> int: ...

    @property
    def kept(self) -> Kept: ...

    @property
    def grids(self) -> tuple[PatchGrid, ...]: ...


class Prompts(Protocol):
    """What makes items of inputs. Any thread may use it."""

    def text(self, value: str | tuple[int, ...], *, is_query: bool, truncate: Truncate) -> LateItem:
        """Raises InvalidInput."""
        ...

    def page(self, page: MixedInput) -> LateItem:
        """A page with pictures. Raises InvalidInput."""
        ...


class Network(Protocol):
    """An nn.Module that keeps nothing of one batch for the next. dimensions: of its vectors."""

    dimensions: int

    def __call__(self, items: Sequence[Any], width: int) -> mx.array:
        """A unit-length vector for each token, float32 (items, width, dimensions); those of padding mean nothing."""
        ...


class LateModel(NamedTuple):
    """network: opens it, every weight accounted for, none read yet; raises InvalidInput. sees: whether pages may have
    pictures.
    """

    prompts: Prompts
    network: Callable[[], Network]
    max_tokens: int
    sees: bool = True


def query_prefix(folder: Path, usual: str) -> str:
    """transformers' processors let a checkpoint name its own."""
    return read_json(folder / "processor_config.json").get("query_prefix") or usual
