"""Heatmaps as images: one pixel for each patch, the more like a word the less transparent."""

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from itertools import chain
from statistics import median
from typing import NamedTuple

from jobs.search.reply import Heatmap

Grid = Sequence[Sequence[float]]

COLOR = (255, 64, 0)
"""Red, green, blue: on white paper and on black ink it is told apart from both."""
OPAQUE = 200
"""Of 255, where the likeness is greatest: what is beneath must be readable."""


class HeatWord(NamedTuple):
    """A part of the query, or all of them, and where on the page they are."""

    key: str
    """Of the address: its number, or "all"."""
    text: str
    image: str
    """data:image/png, stretched over the page."""


def heat_words(heatmap: Heatmap) -> list[HeatWord]:
    """First all of the query together, then each part that has a name, if there are several."""
    named = [each for each in heatmap.maps if each.text.strip()]
    if not heatmap.maps:
        return []
    grids = [_above_background(each.grid) for each in named or heatmap.maps]
    highest = max(chain.from_iterable(chain.from_iterable(grids)))
    all_words = [[max(values) for values in zip(*rows, strict=True)] for rows in zip(*grids, strict=True)]
    words = [HeatWord("all", "All words", _data_uri(all_words, highest))]
    if len(named) == 1:
        return [words[0]._replace(text=named[0].text)]
    return words + [
        HeatWord(str(number), each.text, _data_uri(grid, highest))
        for number, (each, grid) in enumerate(zip(named, grids, strict=False))
    ]


def _above_background(grid: Grid) -> list[list[float]]:
    """How much each patch is above the page's middle: every word is a little like every patch."""
    background = median(chain.from_iterable(grid))
    return [[max(0.0, value - background) for value in row] for row in grid]


def _data_uri(grid: Grid, highest: float) -> str:
    return "data:image/png;base64," + b64encode(heat_png(grid, highest)).decode()


def heat_png(grid: Grid, highest: float) -> bytes:
    """grid: rows of columns, from the top left, 0 or more. highest: what is shown as OPAQUE."""
    rows = [bytes(chain.from_iterable((*COLOR, _opacity(value, highest)) for value in row)) for row in grid]
    return _png(len(grid[0]), rows)


def _opacity(value: float, highest: float) -> int:
    return round(OPAQUE * min(1.0, (value / highest)) ** 1.5) if highest > 0 else 0


def _png(width: int, rows: Sequence[bytes]) -> bytes:
    """rows: RGBA, a byte each. The format: https://www.w3.org/TR/png-3/"""
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 6, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks: Iterable[tuple[bytes, bytes]] = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
