"""Texts to embed: made from a fixed seed, of lognormal length, no two alike."""

import json
import random
from pathlib import Path

WORDS = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split()


def texts(count: int, *, median_words: int = 75, sigma: float = 0.35, seed: int = 11) -> list[str]:
    """Texts of about `median_words` words, each a little over one token."""
    rng = random.Random(seed)
    lengths = [min(230, max(4, round(median_words * rng.lognormvariate(0, sigma)))) for _ in range(count)]
    return [" ".join(rng.choices(WORDS, k=length)) for length in lengths]


def bodies(model: str, inputs: list[str]) -> list[bytes]:
    """One request of one text each, as the OpenAI client sends it."""
    return [
        json.dumps({"model": model, "input": text, "encoding_format": "base64"}).encode() for text in inputs
    ]
