"""Folders of generated documents: text, charts, scans, and pictures of pages; no page is like another."""

import random
from pathlib import Path

import numpy as np
from PIL import Image

from bench.corpus import WORDS
from tests.support.documents.pdf_files import PdfPages

PAGES_A_FILE = 25
LINES, WORDS_A_LINE = 46, 11
PHOTO = (850, 1100)
"""Pixels of a scanned page: Letter at 100 dots per inch."""


def write_corpus(folder: Path, pages: int, *, only_text: bool = False) -> Path:
    """Of 25 pages, 15 are text, 4 charts, 4 scans in a PDF, and 2 files of their own. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(1)
    for number in range(0, pages, PAGES_A_FILE):
        count = min(PAGES_A_FILE, pages - number)
        if only_text:
            _write_pdf(folder / f"text-{number:05}.pdf", [_text(chance) for _ in range(count)])
            continue
        scans, files = min(4, count // 5), min(2, count // 10)
        charts = min(4, count // 5)
        texts = count - scans - files - charts
        contents = [_text(chance) for _ in range(texts)] + [_chart(chance) for _ in range(charts)]
        _write_pdf(folder / f"report-{number:05}.pdf", contents)
        pictures = [_photo(number + n) for n in range(scans + files)]
        if scans:
            pictures[0].save(folder / f"scan-{number:05}.pdf", save_all=True, append_images=pictures[1:scans])
        for n, picture in enumerate(pictures[scans:]):
            picture.save(folder / f"photo-{number:05}-{n}.{'jpg' if n else 'png'}")
    return folder


def _text(chance: random.Random) -> str:
    lines = (
        f"1 0 0 1 50 {750 - 15 * line} Tm ({' '.join(chance.choices(WORDS, k=WORDS_A_LINE))}) Tj"
        for line in range(LINES)
    )
    return "BT /F1 10 Tf " + "\n".join(lines) + " ET"


def _chart(chance: random.Random) -> str:
    bars = (
        f"{chance.random():.2f} {chance.random():.2f} {chance.random():.2f} rg "
        f"{60 + 24 * n} 200 20 {chance.randrange(20, 400)} re f"
        for n in range(20)
    )
    return "\n".join(bars) + "\n0 0 0 rg\n" + _text(chance).replace("/F1 10 Tf", "/F1 6 Tf")


def _photo(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (22, 17, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(PHOTO, Image.Resampling.BICUBIC)


def _write_pdf(path: Path, contents: list[str]) -> None:
    made = PdfPages()
    for content in contents:
        made.page(content)
    path.write_bytes(made.file())
