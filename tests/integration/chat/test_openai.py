"""OpenAI's completions and stored chats through real processes; lm-evaluation-harness reads the former."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import openai
import pytest
import uv
from mlx_lm.utils import load
from openai.types.chat import ChatCompletionMessageParam

from tests.support.folders import TINY_CHAT
from tests.support.stack import Stack

HARNESS, NEEDS = "lm_eval==0.4.13", ("aiohttp==3.14.5", "tenacity==9.2.1")
"""The harness comes without what it requires: that includes a hundred megabytes for its tasks and metrics."""
CALLS = Path(__file__).with_name("lm_eval_calls.py")

STORY: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Tell me a story."}]
CONTEXT = "The capital of France is"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the harness, to be put on the path."""
    folder = tmp_path_factory.mktemp("harness")
    for packages in (["--no-deps", HARNESS], NEEDS):
        done = subprocess.run(
            [uv.find_uv_bin(), "pip", "install", "--python", sys.executable, "--target", folder, *packages],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    return folder


def run_harness(folder: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, CALLS, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Scorer:
    """The model by mlx-lm alone, one text at a time."""

    def __init__(self) -> None:
        found: Any = load(str(TINY_CHAT))
        self._model, self._tokenizer = found[0], found[1]

    def ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False)

    def score(self, before: list[int], ids: list[int]) -> tuple[float, bool]:
        """The log-probability of the ids after `before`, and whether each is the most probable one."""
        logits = self._model(mx.array([before + ids]))[0].astype(mx.float32)
        logprobs = np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))[len(before) - 1 : -1]
        chosen = logprobs[range(len(ids)), ids]
        return float(chosen.sum()), bool((logprobs.argmax(axis=-1) == ids).all())

    def text_after(self, text: str, count: int) -> str:
        """So many of the most probable tokens."""
        ids = self.ids(text)
        for _ in range(count):
            ids.append(int(np.argmax(np.array(self._model(mx.array([ids]))[0, -1]))))
        return self._tokenizer.decode(ids)[len(text) :]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


def test_the_evaluation_harness_gets_the_models_loglikelihoods(stack: Stack, harness: Path, scorer: Scorer):
    likely = scorer.text_after(CONTEXT, 4)
    pairs = [(CONTEXT, likely), (CONTEXT, " zebra crossing"), ("Count: 1, 2, 3,", " 4"), ("", "Hello!")]
    end = scorer.ids("<|im_end|>")
    expected = [
        scorer.score(scorer.ids(before) or end, scorer.ids(before + text)[len(scorer.ids(before)) :])
        for before, text in pairs
    ]
    assert [greedy for _, greedy in expected][:2] == [True, False]

    found = run_harness(harness, f"{stack.url}/v1/completions", str(TINY_CHAT), json.dumps(pairs))

    for way in ("tokens", "texts", "batches", "at the same time"):
        assert [greedy for _, greedy in found[way]] == [greedy for _, greedy in expected], way
        sums = [logprob for logprob, _ in found[way]]
        assert sums == pytest.approx([logprob for logprob, _ in expected], abs=0.01), way
    rolling = [scorer.score(end, scorer.ids(before + text))[0] for before, text in pairs]
    assert found["rolling"] == pytest.approx(rolling, abs=0.01)
    assert found["written"] == [scorer.text_after(CONTEXT, 8).partition("<|endoftext|>")[0]]


@pytest.mark.parametrize("stream", [False, True])
def test_an_echo_has_one_logprob_for_each_token_that_was_read_and_written(
    client: openai.OpenAI, stream: bool
):
    asked: Any = {"model": "tiny-chat", "prompt": CONTEXT, "echo": True, "logprobs": 1, "temperature": 0}
    [whole] = client.completions.create(**asked, max_tokens=3).choices
    text, tokens, offsets = "", list[str](), list[int]()
    if stream:
        for chunk in client.completions.create(**asked, max_tokens=3, stream=True):
            [choice] = chunk.choices
            text += choice.text
            if choice.logprobs:
                tokens += choice.logprobs.tokens or []
                offsets += choice.logprobs.text_offset or []
    else:
        found = client.completions.create(**asked, max_tokens=0)
        [choice] = found.choices
        assert found.usage and (choice.finish_reason, found.usage.completion_tokens) == ("length", 0)
        assert choice.text == CONTEXT
        assert choice.logprobs and choice.logprobs.tokens and choice.logprobs.token_logprobs
        assert "".join(choice.logprobs.tokens) == CONTEXT
        assert choice.logprobs.token_logprobs[0] is None
        text, tokens, offsets = whole.text, whole.logprobs.tokens, whole.logprobs.text_offset  # pyright: ignore
    assert whole.logprobs
    assert (text, tokens) == (whole.text, whole.logprobs.tokens)
    assert text.startswith(CONTEXT) and "".join(tokens) == text
    assert [text[at:].startswith(token) for at, token in zip(offsets, tokens, strict=True)] == [True] * len(
        tokens
    )


def test_a_chat_is_stored_until_it_is_deleted(client: openai.OpenAI):
    made = client.chat.completions.create(
        model="tiny-chat", messages=STORY, max_tokens=4, store=True, metadata={"topic": "stories"}
    )
    streamed = client.chat.completions.create(
        model="tiny-chat", messages=STORY, max_tokens=4, store=True, stream=True
    )
    chunks = list(streamed)
    stored = client.chat.completions
    assert [each.id for each in stored.list()] == [made.id, chunks[0].id]
    assert [each.id for each in stored.list(metadata={"topic": "stories"})] == [made.id]
    found = stored.retrieve(made.id)
    assert found.choices == made.choices
    assert found.system_fingerprint == made.system_fingerprint == chunks[-1].system_fingerprint
    assert made.system_fingerprint and made.system_fingerprint.startswith("fp_")
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert stored.retrieve(chunks[0].id).choices[0].message.content == said
    assert [each.content for each in stored.messages.list(made.id)] == [STORY[0].get("content")]
    for each in (made.id, chunks[0].id):
        stored.delete(each)
    assert list(stored.list()) == []


def test_a_prompt_that_is_too_long_is_told_as_openai_tells_it(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError, match="This model's maximum context length is 8192 tokens"):
        client.completions.create(model="tiny-chat", prompt=[5] * 9000)
    with pytest.raises(openai.BadRequestError, match="has no tokens for filling in"):
        client.completions.create(model="tiny-chat", prompt="a", suffix="b")
