"""A small ColQwen2.5 that knows colours: the word `red` is close to patches that are red, and to nothing else.

All other words are one to it. Its layers add nothing to what a word or a patch is, and its last layer is taught in one
step (ridge regression).
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob
from tests.checkpoints import vocabularies
from tests.checkpoints.colqwen import DIMENSIONS, HIDDEN, TOKENS, make
from tests.checkpoints.make import SEED
from tests.checkpoints.weights import changed_weights
from tests.support.images import encode
from tests.support.parity import opened, outcomes, prepared
from workers.runners.multi_vector.mixed_prompts import MixedItem
from workers.runners.multi_vector.runner import MultiVectorRunner

COLOURS = {"red": (210, 30, 40), "green": (30, 160, 60), "blue": (40, 70, 210)}
PAGE = (140, 196)
"""Pixels: as many as the model looks at, so none are scaled."""
PATCH = 28

_NOTHING = "nothing"
"""What the other words mean, and patches without a colour."""
_PAGES = 4
"""Of each colour."""
_RIDGE = 1e-4
_TOKENS = {vocabularies.byte_bpe(TOKENS, [], []).token_to_id(f"Ġ{colour}"): colour for colour in COLOURS}

Rows = np.ndarray[Any, np.dtype[np.float32]]


def teach(folder: Path) -> Path:
    """Write the model into `folder`, which is made."""
    make(folder)
    with changed_weights(folder) as weights:
        for name in weights:
            if name.endswith(("o_proj.weight", "attn.proj.weight", "down_proj.weight")):
                weights[name][:] = 0
        words = weights["language_model.embed_tokens.weight"]
        words[[token for token in range(len(words)) if token not in _TOKENS]] = words[0]
    _set_head(
        folder, np.eye(DIMENSIONS, HIDDEN)
    )  # its vectors are the states before the head, of unit length
    states, targets = _lessons(opened(folder, MultiVectorRunner))
    gram = states.T @ states + _RIDGE * len(states) * np.eye(HIDDEN)
    _set_head(folder, np.linalg.solve(gram, states.T @ targets).T)
    return folder


def coloured_page(colour: str, left: int, top: int, size: int = 2 * PATCH) -> Image.Image:
    """Lines of grey on white, and a square of the colour. In pixels."""
    image = Image.new("RGB", PAGE, "white")
    draw = ImageDraw.Draw(image)
    for y in range(12, PAGE[1] - 8, 14):
        draw.line((14, y, PAGE[0] - 14, y), fill=(120, 120, 120), width=2)
    draw.rectangle((left, top, left + size - 1, top + size - 1), fill=COLOURS[colour])
    return image


def _set_head(folder: Path, head: np.ndarray) -> None:
    with changed_weights(folder) as weights:
        weights["custom_text_proj.weight"] = np.ascontiguousarray(head, np.float32)
        weights["custom_text_proj.bias"] = np.zeros(DIMENSIONS, np.float32)


def _lessons(runner: MultiVectorRunner) -> tuple[Rows, np.ndarray]:
    """Hidden states, and the vectors that they should become."""
    random = np.random.default_rng([SEED, 211])
    directions = np.linalg.qr(random.normal(size=(DIMENSIONS, len(COLOURS) + 1)))[0].T
    meanings = dict(zip((*COLOURS, _NOTHING), directions, strict=True))
    pairs = [_read(runner), *(_seen(runner, random, each) for each in [*COLOURS] * _PAGES)]
    states = np.concatenate([found for found, _ in pairs])
    return states[:, :HIDDEN], np.stack([meanings[name] for _, names in pairs for name in names])


def _read(runner: MultiVectorRunner) -> tuple[Rows, list[str]]:
    """The states of words, and what each means."""
    item, found = _states(runner, EmbedJob("m", (" ".join(COLOURS),)))
    return found, [_TOKENS.get(token, _NOTHING) for token in item.ids.tolist()]


def _seen(runner: MultiVectorRunner, random: np.random.Generator, colour: str) -> tuple[Rows, list[str]]:
    """The states of a page's tokens, and what each shows."""
    size = PATCH * int(random.integers(1, 4))
    left, top = (PATCH * int(random.integers(0, (side - size) // PATCH + 1)) for side in PAGE)
    page = encode(coloured_page(colour, left, top, size))
    item, found = _states(runner, EmbedJob("m", (MixedInput((ImagePart(page),)),)))
    [grid] = item.grids
    names = [_NOTHING] * len(found)
    for at in range(grid.rows * grid.columns):
        y, x = (PATCH * place for place in divmod(at, grid.columns))
        if left <= x < left + size and top <= y < top + size:
            names[grid.first + at] = colour
    return found, names


def _states(runner: MultiVectorRunner, job: EmbedJob) -> tuple[MixedItem, Rows]:
    [item] = prepared(runner, [job], MixedItem)
    [found] = outcomes(runner, [item])
    return item, found
