"""Texts to embed: made from a fixed seed, of lognormal length, no two alike."""

import json
import random

WORDS = (
    "the of and to in a is that it was for on are with as at be this have from or had by but some what there we can out "
    "other were all your when up use word how said an each she which do their time if will way about many then them "
    "would write like so these her long make thing see him two has look more day could go come did my sound no most "
    "number who over know water than call first people may down side been now find any new work part take get place made "
    "live where after back little only round man year came show every good me give our under name very through just form "
    "much great think say help low line before turn cause same mean differ move right boy old too does tell sentence set "
    "three want air well also play small end put home read hand port large spell add even land here must big high such "
    "follow act why ask men change went light kind off need house picture try us again animal point mother world near "
    "build self earth father head stand own page should country found answer school grow study still learn plant cover"
).split()


def texts(count: int, *, median_words: int = 75, sigma: float = 0.35, seed: int = 11) -> list[str]:
    """Texts of about `median_words` words; with all-MiniLM-L6-v2 a word is a little over one token."""
    rng = random.Random(seed)
    lengths = [min(230, max(4, round(median_words * rng.lognormvariate(0, sigma)))) for _ in range(count)]
    return [" ".join(rng.choices(WORDS, k=length)) for length in lengths]


def bodies(model: str, inputs: list[str]) -> list[bytes]:
    """One request of one text each, as the OpenAI client sends it."""
    return [json.dumps({"model": model, "input": text, "encoding_format": "base64"}).encode() for text in inputs]
