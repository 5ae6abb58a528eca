"""Texts to embed: made from a fixed seed, of lognormal length, no two alike."""

import json
import random
from pathlib import Path
from typing import NamedTuple

WORDS = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split()


class Corpus(NamedTuple):
    """Texts of lognormal length. median_words: each is a little over one token. sigma: of the logarithm."""

    median_words: int
    sigma: float

    def texts(self, count: int, seed: int = 11) -> list[str]:
        rng = random.Random(seed)
        lengths = [
            min(230, max(4, round(self.median_words * rng.lognormvariate(0, self.sigma))))
            for _ in range(count)
        ]
        return [" ".join(rng.choices(WORDS, k=length)) for length in lengths]


CORPORA = {
    "mixed": Corpus(median_words=75, sigma=0.35),
    "about-90-tokens": Corpus(median_words=87, sigma=0.15),
}


def bodies(model: str, inputs: list[str]) -> list[bytes]:
    """One request of one text each, as the OpenAI client sends it."""
    return [
        json.dumps({"model": model, "input": text, "encoding_format": "base64"}).encode() for text in inputs
    ]
