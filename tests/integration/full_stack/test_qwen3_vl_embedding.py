"""Texts and pictures over HTTP, in real processes, to the vectors of a small Qwen3-VL-Embedding."""

import base64
from pathlib import Path

import numpy as np

from tests.checkpoints.qwen3_vl import ASKED, HIDDEN, INSTRUCTION, make, png
from tests.support.folders import GOLDEN
from tests.support.stack import Stack

REFERENCE = np.load(GOLDEN / "qwen3-vl-embedding.npz")["vectors"]
EXPECTED = dict(zip(ASKED, REFERENCE, strict=True))


def data_uri(number: int) -> str:
    return "data:image/png;base64," + base64.b64encode(png(number)).decode()


def test_texts_and_pictures_have_the_reference_s_vectors(tmp_path: Path):
    model = make(tmp_path / "model" / "qwen3-vl-embedding")
    (tmp_path / "stack").mkdir()
    with Stack(tmp_path / "stack", str(model)) as stack:

        def embed(*given: object, **fields: object) -> np.ndarray:
            body = {"model": "qwen3-vl-embedding", "input": given, **fields}
            reply = stack.http.post(f"{stack.url}/v1/embeddings", json=body)
            assert reply.status_code == 200, reply.text
            return np.array([each["embedding"] for each in reply.json()["data"]])

        found = embed("red fox", data_uri(1), {"text": "red fox", "image": data_uri(0)})
        expected = [EXPECTED[None, parts] for parts in (("red fox",), (1,), (0, "red fox"))]
        assert found.shape == (3, HIDDEN)
        assert (found * expected).sum(axis=1).min() >= 0.9999

        told = embed("red fox", instruction=INSTRUCTION, dimensions=64)
        expected = EXPECTED[INSTRUCTION, ("red fox",)][:64]
        assert told.shape == (1, 64)
        assert float(told[0] @ expected / np.linalg.norm(expected)) >= 0.9999

        body = {"model": "qwen3-vl-embedding", "input": ["fox", "data:image/png;base64,AAAA"]}
        refused = stack.http.post(f"{stack.url}/v1/embeddings", json=body)
        assert refused.status_code == 400
        assert "nput 1" in refused.text or "input[1]" in refused.text
