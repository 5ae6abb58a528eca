"""Images as Qwen2.5-VL and Qwen3-VL read them: what stands for one in a text, and what the vision tower takes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jobs.embed import PatchGrid
from jobs.errors import InvalidInput
from workers.runners.tokens.tokenizer import Ids
from workers.runners.vision.patches import Patching, cut_to_patches

QWEN_PLACEHOLDERS = ("<|image_pad|>", "<|video_pad|>")
"""What stands for images, the image token's first."""


class ImageTokens(NamedTuple):
    """An image as the model reads it."""

    text: str
    """What stands for it in the prompt."""
    pixels: Any
    """What the vision tower takes: Patches or Tiles."""
    tokens: int
    rows: int
    """Rows of the last of its tokens, which are of the whole image."""
    columns: int
    """Columns of the same tokens."""


def qwen_image_tokens(image: Image.Image, patching: Patching) -> ImageTokens:
    """An RGB image as Qwen-VL reads it. Raises InvalidInput."""
    patches = cut_to_patches(image, patching)
    tokens = patches.rows * patches.columns
    text = f"<|vision_start|>{QWEN_PLACEHOLDERS[0] * tokens}<|vision_end|>"
    return ImageTokens(text, patches, tokens, patches.rows, patches.columns)


def grids_of(ids: Ids, images: Sequence[ImageTokens], image_token: int) -> tuple[PatchGrid, ...]:
    """Where among the ids the images' tokens are. images: those of the input, in order.

    Raises InvalidInput where there are more or fewer tokens than theirs: in a batch, the states of another input's
    images would be put there.
    """
    found = np.flatnonzero(ids == image_token)
    ends = np.cumsum([each.tokens for each in images], dtype=np.int64)
    if len(found) != sum(each.tokens for each in images):
        raise InvalidInput("the texts hold what stands for an image to this model.", param="input")
    return tuple(
        PatchGrid(int(found[end - image.rows * image.columns]), image.rows, image.columns)
        for end, image in zip(ends, images, strict=True)
    )


def refuse_placeholders(text: str, placeholders: Sequence[str]) -> None:
    """A placeholder in a text would be taken for an image. Raises InvalidInput."""
    for placeholder in placeholders:
        if placeholder in text:
            raise InvalidInput(
                f"a text holds {placeholder}, which stands for an image to this model.", param="input"
            )
