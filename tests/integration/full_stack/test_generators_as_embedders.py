"""A model that writes and embeds under two names, and a vision model that embeds, over HTTP and in real processes."""

import base64
from collections.abc import Iterator

import numpy as np
import openai
import pytest

from tests.checkpoints import generators, lfm2_colbert, vision
from tests.checkpoints.colqwen import png
from tests.support.folders import GOLDEN
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = tmp_path_factory.mktemp("models")
    writer, seer = generators.make("qwen3", made / "writer"), vision.make("qwen2_5_vl", made / "seer")
    late = lfm2_colbert.make(made / "late", "lfm2.5")
    specs = (str(writer), f"vectors={writer},task=embed", f"seer={seer},task=embed", str(late))
    with Stack(tmp_path_factory.mktemp("stack"), *specs) as stack:
        yield stack


@pytest.fixture
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key="unused", max_retries=0)


def test_one_folder_writes_and_embeds_under_two_names(stack: Stack, client: openai.OpenAI):
    offered = {each["id"]: each for each in stack.http.get(f"{stack.url}/v1/models").json()["data"]}
    assert {name: offered[name]["task"] for name in ("writer", "vectors", "seer", "late")} == {
        "writer": "generate",
        "vectors": "embed",
        "seer": "embed",
        "late": "embed",
    }
    stored = np.load(GOLDEN / "pooled-qwen3.npz")
    text = "the quick red fox jumps over a slow dog"
    reply = client.embeddings.create(model="vectors", input=[text])
    assert np.dot(reply.data[0].embedding, stored["vectors"][1]) >= 0.9999
    assert reply.usage.prompt_tokens == stored["tokens"][1]
    written = client.completions.create(model="writer", prompt=text, max_tokens=4)
    assert written.choices[0].finish_reason in ("length", "stop")


def test_picture_beside_a_text_as_an_extra_field(client: openai.OpenAI):
    expected = np.load(GOLDEN / "seeing-qwen2_5_vl.npz")["vectors"]
    url = f"data:image/png;base64,{base64.b64encode(png(1)).decode()}"
    shown = client.embeddings.create(model="seer", input=["the red fox"], extra_body={"image_url": url})
    read = client.embeddings.create(model="seer", input=["a fox", "night"])
    assert np.dot(shown.data[0].embedding, expected[3]) >= 0.9999
    assert np.dot(read.data[0].embedding, expected[0]) >= 0.9999
    assert np.dot(read.data[1].embedding, expected[5]) >= 0.9999
    with pytest.raises(openai.BadRequestError, match="reads texts only"):
        client.embeddings.create(model="vectors", input=["the red fox"], extra_body={"image_url": url})


def test_texts_have_a_vector_for_each_token_that_is_kept(stack: Stack):
    stored = np.load(GOLDEN / "lfm2.5-colbert.npz")
    queries, documents = list(lfm2_colbert.QUERIES), list(lfm2_colbert.DOCUMENTS)
    for given, kind, counts in (
        ([each for each in queries if each], "query", stored["counts"][[0, 1, 3]]),
        ([each for each in documents if each], "document", stored["counts"][[4, 5, 7, 8]]),
    ):
        reply = stack.http.post(
            f"{stack.url}/v1/embeddings", json={"model": "late", "input": given, "input_type": kind}
        )
        assert reply.status_code == 200, reply.text
        assert [len(each["embedding"]) for each in reply.json()["data"]] == counts.tolist()
    asked = {"model": "late", "query": queries[0], "documents": documents[:2]}
    ranked = stack.http.post(f"{stack.url}/v1/rerank", json=asked).json()["results"]
    scores = {each["index"]: each["relevance_score"] for each in ranked}
    assert [scores[0], scores[1]] == pytest.approx(stored["scores"][0][:2].tolist(), abs=1e-4)
