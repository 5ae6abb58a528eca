"""A small random Qwen3-VL-Reranker, and the queries and documents behind its golden logits.

What is asked is spelled in parts: a text, or the number of one of tests.checkpoints.qwen3_vl's images.
"""

from pathlib import Path

from jobs.content import ImagePart, TextPart
from jobs.rerank import Passage
from tests.checkpoints import qwen3_vl
from tests.checkpoints.qwen3_vl import png

Parts = tuple[str | int, ...]

NAME = "qwen3-vl-reranker"
INSTRUCTION = "Find pages of the sea"
"""In the place of the model's own."""

PAIRS: tuple[tuple[Parts, Parts], ...] = (
    (("red fox",), ("the quick red fox jumps over a slow dog",)),
    (("red fox",), ("Night.",)),
    (("red fox",), (" été 你好 🙂\n",)),
    (("red fox",), (0,)),
    (("red fox",), (2,)),
    (("red fox",), (1, "the doctor reads")),
    (("red fox",), ("snow and wind over", 3, "the small lake: ", 5)),
    ((4,), ("the old sailor writes a letter to the queen",)),
    ((4,), (0,)),
    ((4,), (0, "a small bird sings near the window")),
    ((1, "who reads a book?"), (": [CLS] </s> <|im_end|>\n",)),
    ((1, "who reads a book?"), (6,)),
    ((1, "who reads a book?"), (5, 3)),
    (("Zürich — naïve café 東京?\n", 3), ("winter in the mountain city; " * 4, 4)),
)

OVERLONG: tuple[tuple[Parts, Parts], ...] = (
    (("red fox",), ("the king sleeps and the child reads near the window; " * 40,)),
    ((3, "old"), ("rain and light over the river " * 20, 0, "a farmer walks to the lake. " * 30)),
    (("red fox",), (1, "song of the wind, " * 60, 3)),
)
"""Longer than the small model reads: to be cut."""


def make(folder: Path, layout: str = "transformers") -> Path:
    """Write the model into `folder`, which is made. Its head is its own: of a shared one, scores would be all 1."""
    return qwen3_vl.make(folder, layout, tied=False)


def passage(parts: Parts) -> Passage:
    """As a job has it."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return tuple(TextPart(part) if isinstance(part, str) else ImagePart(png(part)) for part in parts)
