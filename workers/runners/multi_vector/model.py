"""What a multi-vector model's folder is opened as, whatever its family."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import mlx.core as mx

from jobs.content import MixedInput
from jobs.embed import PatchGrid, Truncate
from workers.runners.multi_vector.text_prompts import Kept
from workers.runners.tokens.tokenizing import HasTokenizer


class MultiVectorItem(Protocol):
    """An input as the model reads it."""

    @property
    def length(self) -> int:
        """Its tokens."""
        ...

    @property
    def kept(self) -> Kept:
        """Which of the tokens' vectors are returned."""
        ...

    @property
    def grids(self) -> tuple[PatchGrid, ...]:
        """Where among those the images' are."""
        ...


class Prompts(HasTokenizer, Protocol):
    """What makes items of inputs. Any thread may use it."""

    def text(
        self,
        value: str | tuple[int, ...],
        *,
        is_query: bool,
        truncate: Truncate,
        max_tokens: int | None = None,
    ) -> MultiVectorItem:
        """max_tokens: as in EmbedJob. Raises InvalidInput."""
        ...

    def mixed(self, value: MixedInput) -> MultiVectorItem:
        """An input with images. Raises InvalidInput."""
        ...


class Network(Protocol):
    """An nn.Module that keeps nothing of one batch for the next."""

    dimensions: int
    """Of its vectors."""

    def __call__(self, items: Sequence[Any], width: int) -> mx.array:
        """A unit-length vector for each token, float32 (items, width, dimensions); those of padding mean nothing."""
        ...


class MultiVectorModel(NamedTuple):
    """A multi-vector model's folder, opened."""

    prompts: Prompts
    network: Callable[[], Network]
    """Opens the network, every weight accounted for, none read yet. Raises InvalidInput."""
    max_tokens: int
    takes_images: bool = True
    image_pixels: int = 0
    """Most that it reads of one image. 0: none, or not known."""
    image_edge: int = 0
    """Most of an image's longer side. 0: any."""
    image_multiple: int = 1
    """Of sides, in pixels, that it does not scale."""
