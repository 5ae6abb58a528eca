"""Embedders that compute nothing: what is left is the way of a page. Their vectors can be told from its content."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob, EmbedResult, PatchGrid
from jobs.errors import InvalidInput, JobError
from jobs.models import ModelInfo
from workers.runners.contract import Weightless, succeeded

ROWS, COLUMNS = 32, 23
PATCHES = ROWS * COLUMNS
"""Of an A4 page at ColQwen2.5's limit."""

DIMENSIONS = 128
TEXT_DIMENSIONS = 384
IMAGE_PIXELS = 602_112
BLOCK = 28

_SAMPLED = 61
"""Every so manieth byte tells one page from another: reading all of them would take longer than all else."""

Vectors = NDArray[np.float32]


class NoopItem(NamedTuple):
    """An input: its length in tokens, and what its vectors are made of."""

    length: int
    digest: str


def content_digest(data: bytes) -> str:
    """Of an encoded image, by a sample of its bytes."""
    return hashlib.blake2b(data[::_SAMPLED], digest_size=16).hexdigest()


def page_vectors(digest: str) -> Vectors:
    """Unit-length, float32 (PATCHES, DIMENSIONS), another array for each digest."""
    return np.roll(_base(), int(digest[:8], 16) % PATCHES, axis=0) * _signs(digest, DIMENSIONS)


def text_vector(digest: str) -> Vectors:
    """Unit-length, float32 (TEXT_DIMENSIONS,), another one for each digest."""
    return _signs(digest, TEXT_DIMENSIONS) / np.float32(np.sqrt(TEXT_DIMENSIONS))


@functools.cache
def _base() -> Vectors:
    rows = np.random.default_rng(0).standard_normal((PATCHES, DIMENSIONS)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _signs(digest: str, count: int) -> Vectors:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(digest), np.uint8))
    return np.resize(bits, count).astype(np.float32) * 2 - 1


class Calls:
    """A line in a file for each item that was computed, for whoever counts them. None: nowhere."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("a", buffering=1)

    def note(self, model: str, items: Sequence[NoopItem]) -> None:
        """Written in one piece: the process may be killed at any time."""
        if self._file is not None:
            self._file.write("".join(f"{model} {item.digest}\n" for item in items))


class NoopPages(Weightless):
    """A multi-vector model of pages, as ColQwen2.5 is one."""

    def __init__(self, model: str = "noop-pages", calls: Path | None = None) -> None:
        """calls: where each computed page is noted."""
        self._calls = Calls(calls)
        self.info = ModelInfo(
            id=model,
            task="embed",
            created=0,
            dimensions=DIMENSIONS,
            max_tokens=32_768,
            abilities=("multi_vector", "vision"),
            digest="noop",
            image_pixels=IMAGE_PIXELS,
            image_multiple=BLOCK,
        )

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[NoopItem] | JobError]:
        return [self._items(job) for job in jobs]

    def launch(self, items: Sequence[NoopItem]) -> Callable[[], Sequence[Any]]:
        return lambda: self.run(items)

    def run(self, items: Sequence[NoopItem]) -> Sequence[Vectors]:
        self._calls.note(self.info.id, items)
        return [page_vectors(item.digest) for item in items]

    def assemble(self, job: EmbedJob, items: Sequence[NoopItem], outcomes: Sequence[Any]) -> EmbedResult:
        vectors = succeeded(outcomes)
        return EmbedResult(
            dimensions=DIMENSIONS,
            vectors=b"".join(each.tobytes() for each in vectors),
            tokens=tuple(item.length for item in items),
            counts=(PATCHES,) * len(items),
            grids=((PatchGrid(0, ROWS, COLUMNS),),) * len(items),
        )

    def _items(self, job: EmbedJob) -> list[NoopItem] | JobError:
        items: list[NoopItem] = []
        for value in job.inputs:
            images = (
                [part for part in value.parts if isinstance(part, ImagePart)]
                if isinstance(value, MixedInput)
                else []
            )
            if len(images) != 1:
                return InvalidInput("This model reads one image an input.", param="input")
            with Image.open(BytesIO(images[0].data)) as opened:
                opened.load()
            items.append(NoopItem(PATCHES, content_digest(images[0].data)))
        return items


class NoopTexts(Weightless):
    """A model of texts."""

    def __init__(self, model: str = "noop-texts", calls: Path | None = None) -> None:
        """calls: where each computed text is noted."""
        self._calls = Calls(calls)
        self.info = ModelInfo(
            id=model, task="embed", created=0, dimensions=TEXT_DIMENSIONS, max_tokens=256, digest="noop"
        )

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[NoopItem] | JobError]:
        return [[_text_item(str(value)) for value in job.inputs] for job in jobs]

    def launch(self, items: Sequence[NoopItem]) -> Callable[[], Sequence[Any]]:
        return lambda: self.run(items)

    def run(self, items: Sequence[NoopItem]) -> Sequence[Vectors]:
        self._calls.note(self.info.id, items)
        return [text_vector(item.digest) for item in items]

    def assemble(self, job: EmbedJob, items: Sequence[NoopItem], outcomes: Sequence[Any]) -> EmbedResult:
        vectors = succeeded(outcomes)
        return EmbedResult(
            dimensions=TEXT_DIMENSIONS,
            vectors=b"".join(each.tobytes() for each in vectors),
            tokens=tuple(item.length for item in items),
        )


def _text_item(text: str) -> NoopItem:
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return NoopItem(max(1, len(text) // 4), digest)
