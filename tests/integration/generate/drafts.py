"""A small model of noise, drafts of it that are perfect, near and bad, and the answers that they write together."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_map
from mlx_lm.models import qwen3

from jobs.answer_format import JsonFormat
from jobs.generate import GenerateJob, Prompt, Sampling
from tests.checkpoints import vocabularies
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken
from workers.runners.generate.decoding.decoder import SamplerAndProcessors, TextDecoder
from workers.runners.generate.decoding.sampling import processors_for, sampler_for
from workers.runners.generate.structured_output.grammar import Grammars

TOKENIZER = vocabularies.byte_bpe(["<eos>"], [], [])
VOCAB_SIZE = TOKENIZER.get_vocab_size() + 21
FORM = JsonFormat(json.dumps({"type": "array", "items": {"enum": ["red fox", 17]}, "minItems": 4}))
LONG = 1400
"""Tokens of a prompt that the draft reads in three steps."""
SURE = 2e-4
"""A lead, in logits, that no rounding turns round: float32 is off by about 1e-5 here."""


class Ask(NamedTuple):
    ids: list[int]
    max_tokens: int = 60
    sampling: Sampling = Sampling(temperature=0)
    format: JsonFormat | None = None
    logprobs: int | None = None


class Counted:
    """A model that remembers what it was given to read."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.read: list[mx.array] = []

    @property
    def widths(self) -> list[int]:
        """Tokens per row of each call."""
        return [inputs.shape[1] for inputs in self.read]

    def __call__(self, inputs: mx.array, *more: Any, **options: Any) -> mx.array:
        self.read.append(inputs)
        return self._model(inputs, *more, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def build(seed: int, vocab_size: int = VOCAB_SIZE) -> qwen3.Model:
    """Two layers of random weights: its answers are noise, but each depends on all that was read."""
    mx.random.seed(seed)
    args = qwen3.ModelArgs(
        model_type="qwen3", hidden_size=64, num_hidden_layers=2, intermediate_size=96, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-6, vocab_size=vocab_size, rope_theta=10000.0,
        max_position_embeddings=4096, tie_word_embeddings=False,
    )  # fmt: skip
    model = qwen3.Model(args)
    model.update(tree_map(lambda weight: 4 * weight if weight.ndim == 2 else weight, model.parameters()))
    mx.eval(model.parameters())
    return model


def disturbed(model: qwen3.Model, amount: float) -> qwen3.Model:
    """One that often says the same."""
    mx.random.seed(77)
    other = build(0)
    other.update(
        tree_map(lambda weight: weight + amount * mx.random.normal(weight.shape), model.parameters())
    )
    mx.eval(other.parameters())
    return other


def prompt(length: int, start: int = 1) -> list[int]:
    return [(start + 37 * place + place * place % 11) % VOCAB_SIZE for place in range(length)]


MODEL = build(1)
DRAFTS: dict[str, nn.Module] = {"perfect": MODEL, "near": disturbed(MODEL, 0.03), "bad": build(2)}
GRAMMARS = Grammars(TOKENIZER, [0])
each_draft = pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)


def sampler_and_processors(answer: Answer) -> SamplerAndProcessors:
    sampling, prompt_tokens = answer.job.sampling, answer.prompt_tokens
    processors = processors_for(sampling, prompt_tokens)
    if answer.job.format is not None:
        processors.append(GRAMMARS.answer(answer.job.format))
    return sampler_for(sampling, skipped=answer.written), processors


def decoder_of(draft: nn.Module | None, *, model: Any = MODEL, ends: Iterable[int] = ()) -> TextDecoder:
    return TextDecoder(model, ends, sampler_and_processors, slots=4, prefix_cache_bytes=1 << 24, draft=draft)


def answer_of(ask: Ask) -> Answer:
    job = GenerateJob(
        model="noise",
        prompt=Prompt(tuple(ask.ids)),
        sampling=ask.sampling,
        format=ask.format,
        logprobs=ask.logprobs,
    )
    no_transcript: Any = None  # a decoder does not look at it
    return Answer(job, ask.ids, ask.max_tokens, no_transcript)


def write(decoder: TextDecoder, asks: Mapping[int, Ask]) -> list[list[NewToken]]:
    """The tokens of each. asks: the step before which it begins. Nothing comes after an end."""
    return [[new for step in steps for new in step] for steps in steps_of(decoder, asks)]


def steps_of(decoder: TextDecoder, asks: Mapping[int, Ask]) -> list[list[list[NewToken]]]:
    """Of each answer, what every step brought it."""
    found: dict[int, list[list[NewToken]]] = {}
    step = 0
    while len(decoder) or step <= max(asks):
        if step in asks:
            found[decoder.insert(answer_of(asks[step]))] = [[] for _ in range(step)]
        news = decoder.step(0.02)
        for uid, steps in found.items():
            steps.append([new for new in news if new.uid == uid])
        step += 1
    for steps in found.values():
        finishes = [new.finish for new_tokens in steps for new in new_tokens]
        assert [each for each in finishes if each] == finishes[-1:]
    return [*found.values()]


def alone(decoder: TextDecoder, ask: Ask) -> list[int]:
    return [new.token for new in write(decoder, {0: ask})[0]]


_PLAIN: dict[str, list[int]] = {}


def plainly(ask: Ask) -> list[int]:
    """What the model says alone and without a draft; it is worked out once for all drafts."""
    key = repr(ask)
    if key not in _PLAIN:
        _PLAIN[key] = alone(decoder_of(None), ask)
    return _PLAIN[key]


def assert_sure(ids: Sequence[int], said: Sequence[int]) -> None:
    """The greedy answer does not hang on rounding."""
    logits = np.array(MODEL(mx.array([[*ids, *said]]))[0, len(ids) - 1 : -1])
    leads = np.sort(logits)[:, -1] - np.sort(logits)[:, -2]
    assert (logits.argmax(axis=-1) == np.array(said)).all()
    assert leads.min() > SURE
