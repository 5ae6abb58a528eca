"""Pictures as Qwen2.5-VL and Qwen3-VL read them: what stands for one in a text, and what the vision tower takes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jobs.embed import PatchGrid
from jobs.errors import InvalidInput
from workers.runners.tokens.tokenizer import Ids
from workers.runners.vision.patches import Cut, cut_up

QWEN_MARKS = ("<|image_pad|>", "<|video_pad|>")
"""What stands for pictures, the image token's first."""


class Look(NamedTuple):
    """A picture as the model reads it. text: what stands for it. pixels: what the vision tower takes. rows, columns: of
    the last of its tokens, which are of the whole picture.
    """

    text: str
    pixels: Any
    tokens: int
    rows: int
    columns: int


def look(picture: Image.Image, cut: Cut) -> Look:
    """An RGB picture as Qwen-VL reads it. Raises InvalidInput."""
    patches = cut_up(picture, cut)
    tokens = patches.rows * patches.columns
    text = f"<|vision_start|>{QWEN_MARKS[0] * tokens}<|vision_end|>"
    return Look(text, patches, tokens, patches.rows, patches.columns)


def grids_of(ids: Ids, looks: Sequence[Look], image_token: int) -> tuple[PatchGrid, ...]:
    """Where among the ids the pictures' tokens are. looks: the pictures in order. Raises InvalidInput where there are
    more or fewer tokens than theirs: in a batch, they would be taken from another input's pictures.
    """
    marks = np.flatnonzero(ids == image_token)
    ends = np.cumsum([look.tokens for look in looks], dtype=np.int64)
    if len(marks) != sum(look.tokens for look in looks):
        raise InvalidInput("the texts hold what stands for an image to this model.", param="input")
    return tuple(
        PatchGrid(int(marks[end - look.rows * look.columns]), look.rows, look.columns)
        for end, look in zip(ends, looks, strict=True)
    )


def refuse_marks(text: str, marks: Sequence[str]) -> None:
    """A mark in a text would be taken for a picture. Raises InvalidInput."""
    for mark in marks:
        if mark in text:
            raise InvalidInput(
                f"a text holds {mark}, which stands for an image to this model.", param="input"
            )
