"""What OpenAI's own client sees of the full stack with a real model."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openai
import pytest

from jobs.store import keys
from tests.checkpoints.texts import MINILM_TEXTS
from tests.support.folders import GOLDEN
from tests.support.stack import MODEL, Stack
from workers.runners.tokens.tokenizer import ModelTokenizer

GOLDEN = GOLDEN / "all-MiniLM-L6-v2.npz"
TOO_LONG = "word " * 300


@pytest.fixture
def client(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def embed(client: openai.OpenAI, given: Sequence[str], **more) -> np.ndarray:
    """Vectors, shape (inputs, 384)."""
    reply = client.embeddings.create(model=MODEL, input=list(given), **more)
    return np.array([item.embedding for item in reply.data])


def test_vectors_and_usage_equal_sentence_transformers(client: openai.OpenAI):
    golden = np.load(GOLDEN)
    texts = list(MINILM_TEXTS[1:])  # the API refuses the empty one
    reply = client.embeddings.create(model=MODEL, input=texts)

    vectors = np.array([item.embedding for item in reply.data])
    assert (vectors * golden["vectors."][1:]).sum(axis=1).min() >= 0.99999
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == golden["tokens."][1:].sum()


def test_base64_holds_exactly_the_floats(client: openai.OpenAI):
    texts = list(MINILM_TEXTS[1:4])
    floats = embed(client, texts, encoding_format="float")
    reply = client.embeddings.create(model=MODEL, input=texts, encoding_format="base64")
    packed = [np.frombuffer(base64.b64decode(str(item.embedding)), "<f4") for item in reply.data]
    assert np.allclose(np.stack(packed), floats, rtol=0, atol=1e-6)


def test_2048_inputs_come_back_in_their_order(client: openai.OpenAI):
    words = [f"number {n}" for n in range(2048)]
    together = embed(client, words)
    assert together.shape == (2048, 384)
    places = [0, 1, 777, 1500, 2046, 2047]
    alone = embed(client, [words[place] for place in places])
    # Each is nearer to its own place than to any other.
    assert np.argmax(alone @ together.T, axis=1).tolist() == places
    assert (alone * together[places]).sum(axis=1).min() >= 0.99999


def test_more_than_2048_inputs_are_a_bad_request(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError, match="2048"):
        embed(client, ["x"] * 2049)


def test_token_ids_give_the_vector_of_their_text(client: openai.OpenAI, minilm: Path):
    text = "A man is eating food."
    [ids] = ModelTokenizer(minilm / "tokenizer.json", 256, 30522, lowercase=False).encode([text])
    with_special = [int(token) for token in ids]
    [expected] = embed(client, [text])
    for given in (with_special, with_special[1:-1]):
        reply = client.embeddings.create(model=MODEL, input=given)
        assert np.dot(reply.data[0].embedding, expected) >= 0.99999
        assert reply.usage.prompt_tokens == len(with_special)


def test_an_overlong_input_is_an_error_unless_a_cut_was_asked_for(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError) as caught:
        embed(client, ["short", TOO_LONG])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")

    reply = client.embeddings.create(model=MODEL, input=TOO_LONG, extra_body={"truncate": "end"})
    assert reply.usage.prompt_tokens == 256
    [longest_whole] = embed(client, [("word " * 254).strip()])
    assert np.dot(reply.data[0].embedding, longest_whole) >= 0.99999


def test_an_error_of_one_request_leaves_its_neighbours_alone(stack: Stack):
    with stack.suspended():  # so that both are in the worker's next batch
        ids = [
            stack.http.post(
                f"{stack.url}/v1/embeddings",
                json={"model": MODEL, "input": text},
                headers={"Prefer": "respond-async"},
            ).json()["id"]
            for text in ("fine", TOO_LONG, "fine, too")
        ]
    jobs = [stack.job(job_id, wait=60) for job_id in ids]
    assert [job["status"] for job in jobs] == ["finished", "failed", "finished"]
    assert jobs[1]["error"]["code"] == "context_length_exceeded"


def test_a_full_queue_is_a_rate_limit_with_a_time_to_come_back(stack: Stack):
    limited = openai.OpenAI(
        base_url=f"{stack.serve(queue_limit=1)}/v1", api_key="unused", max_retries=0, timeout=60
    )
    with limited, stack.suspended():
        first = limited.post(
            "/jobs",
            cast_to=dict[str, object],
            body={"task": "embed", "model": MODEL, "input": "the one that fits", "lane": "interactive"},
        )
        with pytest.raises(openai.RateLimitError) as caught:
            limited.embeddings.create(model=MODEL, input="one too many")
    assert (caught.value.code, caught.value.type) == ("queue_full", "rate_limit_error")
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 3600
    assert stack.job(str(first["id"]), wait=20)["status"] == "finished"


def test_a_full_queue_that_drains_is_waited_for_by_the_client_itself(stack: Stack):
    answered: list[int] = []

    def note(response) -> None:
        answered.append(response.status_code)
        stack.redis.delete(keys.SUSPENDED)  # the queue drains while the client waits

    base_url = f"{stack.serve(queue_limit=1)}/v1"
    http = openai.DefaultHttpxClient(event_hooks={"response": [note]})
    with (
        openai.OpenAI(base_url=base_url, api_key="unused", max_retries=5, http_client=http) as patient,
        stack.suspended(),
    ):
        stack.http.post(
            f"{stack.url}/v1/jobs",
            json={"task": "embed", "model": MODEL, "input": "the one that fits", "lane": "interactive"},
        )
        reply = patient.embeddings.create(model=MODEL, input="one too many")
    assert len(reply.data) == 1
    assert (answered[0], answered[-1]) == (429, 200)


def test_the_model_says_what_it_is(client: openai.OpenAI):
    found = client.models.retrieve(MODEL).model_dump()
    assert (found["task"], found["dimensions"], found["min_dimensions"]) == ("embed", 384, None)
    assert found["max_tokens"] == 256
    assert [model.id for model in client.models.list()] == [MODEL]
