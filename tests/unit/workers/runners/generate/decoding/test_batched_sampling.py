"""A decode batch of mlx-lm whose rows' samplers, penalties and constraints differ."""

import json
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_map
from mlx_lm.generate import BatchGenerator, StopSequences
from mlx_lm.models import llama

from jobs.answer_format import JsonFormat
from jobs.generate import Sampling
from tests.checkpoints import vocabularies
from workers.runners.generate.decoding import batched_sampling
from workers.runners.generate.decoding.batched_sampling import BatchSamplingGenerator
from workers.runners.generate.decoding.sampling import processors_for, sampler_for
from workers.runners.generate.structured_output.constraint import GrammarConstraint
from workers.runners.generate.structured_output.grammar import Grammars

TOKENIZER = vocabularies.byte_bpe(["<eos>"], [], [])
VOCAB_SIZE = TOKENIZER.get_vocab_size() + 21
END = 0
LENGTH = 24


@pytest.fixture(scope="module")
def model() -> llama.Model:
    """Two layers of random weights: its answers are noise, but each depends on all that was read."""
    mx.random.seed(0)
    args = llama.ModelArgs(
        model_type="llama", hidden_size=32, num_hidden_layers=2, intermediate_size=64, num_attention_heads=4,
        num_key_value_heads=2, rms_norm_eps=1e-5, vocab_size=VOCAB_SIZE, tie_word_embeddings=False,
    )  # fmt: skip
    built = llama.Model(args)
    built.update(tree_map(lambda weight: 4 * weight if weight.ndim == 2 else weight, built.parameters()))
    mx.eval(built.parameters())
    return built


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars(TOKENIZER, [END])


FORM = JsonFormat(json.dumps({"type": "array", "items": {"enum": ["red fox", 17]}, "minItems": 4}))
REQUESTS: list[tuple[list[int], Sampling, JsonFormat | None]] = [
    ([5, 9, 30], Sampling(temperature=0), None),
    ([7, 7], Sampling(temperature=0, presence_penalty=2.0, repetition_penalty=1.3), None),
    ([11, 40, 12, 13, 90], Sampling(seed=4, temperature=0.8, top_p=0.9), None),
    ([5, 9, 30], Sampling(seed=4, top_k=30, logit_bias={END: -100.0}), None),
    ([300, 2], Sampling(seed=1, temperature=1.5, frequency_penalty=0.4), FORM),
    ([8], Sampling(temperature=0), FORM),
    ([5, 9, 30], Sampling(seed=2, min_p=0.02), JsonFormat()),
]


def insert(generator: Any, grammars: Grammars, which: list[int]) -> dict[int, int]:
    """Which request each uid is."""
    prompts = [REQUESTS[i][0] for i in which]
    processors = [
        [*processors_for(sampling, len(prompt)), *([grammars.answer(form)] if form else [])]
        for prompt, sampling, form in (REQUESTS[i] for i in which)
    ]
    uids = generator.insert(
        prompts,
        max_tokens=[LENGTH + i for i in which],
        samplers=[sampler_for(REQUESTS[i][1]) for i in which],
        logits_processors=processors,
        stop_sequences=[StopSequences([[END]])] * len(which),
    )
    return dict(zip(uids, which, strict=True))


def generate(generator: Any, grammars: Grammars, waves: list[list[int]]) -> dict[int, list[int]]:
    """Each request's tokens. A wave joins three steps after the one before."""
    joined, answers = dict[int, int](), {i: list[int]() for wave in waves for i in wave}
    waves, step, open_rows = list(waves), 0, 0
    while waves or open_rows:
        if waves and step % 3 == 0:
            wave = waves.pop(0)
            joined |= insert(generator, grammars, wave)
            open_rows += len(wave)
        for response in generator.next_generated():
            answers[joined[response.uid]].append(response.token)
            open_rows -= response.finish_reason is not None
        step += 1
    return answers


def alone(model: llama.Model, grammars: Grammars) -> dict[int, list[int]]:
    """From mlx-lm's own generator, one request at a time."""
    found = dict[int, list[int]]()
    for i in range(len(REQUESTS)):
        found |= generate(BatchGenerator(model), grammars, [[i]])
    return found


WAVES = [[[0, 1, 2, 3, 4, 5, 6]], [[6, 2], [5, 4, 3], [0], [1]], [[4], [3, 2], [1, 0, 6, 5]]]


@pytest.mark.parametrize("waves", WAVES)
def test_mixed_batch_gives_each_request_the_tokens_it_gets_alone(
    model: llama.Model, grammars: Grammars, waves: list[list[int]]
):
    assert generate(BatchSamplingGenerator(model), grammars, waves) == alone(model, grammars)


def test_constrained_rows_of_a_batch_are_json(model: llama.Model, grammars: Grammars):
    answers = generate(BatchSamplingGenerator(model), grammars, WAVES[1])
    for i in (4, 5):
        if answers[i][-1] == END:
            value = json.loads(TOKENIZER.decode(answers[i]))
            assert len(value) >= 4 and set(value) <= {"red fox", 17}
        replayed = grammars.answer(FORM, generated=[token for token in answers[i] if token != END])
        assert replayed.failure is None
        assert replayed.complete == (answers[i][-1] == END)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of `sample` had."""
    seen, sample = list[int](), batched_sampling.sample

    def counted(logprobs: mx.array, samplers: Any) -> mx.array:
        seen.append(len(samplers))
        return sample(logprobs, samplers)

    monkeypatch.setattr(batched_sampling, "sample", counted)
    return seen


def test_rows_of_different_samplers_are_sampled_in_one_call_per_step(
    model: llama.Model, grammars: Grammars, calls: list[int]
):
    generator = BatchSamplingGenerator(model)
    insert(generator, grammars, [0, 1, 2, 3, 4])
    while not generator.next()[1]:
        pass
    calls.clear()
    for _ in range(5):
        generator.next()
    assert calls == [5] * 5


def test_last_tokens_are_read_once_per_step_for_all_constraints(
    model: llama.Model, grammars: Grammars, monkeypatch: pytest.MonkeyPatch
):
    generator, reads, single = BatchSamplingGenerator(model), list[int](), list[int]()
    insert(generator, grammars, [4, 5, 6, 0])
    while not generator.next()[1]:
        pass
    monkeypatch.setattr(batched_sampling, "start", lambda tokens, logits: reads.append(tokens.size))
    monkeypatch.setattr(GrammarConstraint, "__call__", lambda *_: single.append(1))
    for _ in range(2):
        generator.next()
    assert reads == [4] * 2
    assert single == []


def test_answer_without_a_seed_differs_between_rows(model: llama.Model):
    generator = BatchSamplingGenerator(model)
    uids = generator.insert([[5, 9]] * 4, [12] * 4, samplers=[sampler_for(Sampling(temperature=1.5))] * 4)
    answers = {uid: list[int]() for uid in uids}
    for _ in range(20):
        for response in generator.next()[1]:
            answers[response.uid].append(response.token)
    assert len({tuple(answer) for answer in answers.values()}) == 4


class Narrow:
    """A model whose logits are bfloat16: two are the largest, and in bfloat16 their log-probabilities are equal."""

    layers: tuple[()] = ()

    def __call__(self, inputs: mx.array, cache: Any) -> mx.array:
        logits = mx.zeros((*inputs.shape, 60_000), mx.bfloat16)
        logits[..., 100], logits[..., 200] = 0.5, 0.51
        return logits


def test_most_probable_token_survives_narrow_logits():
    tokens = list[int]()
    generator = BatchSamplingGenerator(Narrow())
    [uid] = generator.insert([[1, 2]], [3], samplers=[sampler_for(Sampling(temperature=0))])
    generator.report_logprobs(uid)
    while len(tokens) < 3:
        for response in generator.next()[1]:
            tokens.append(response.token)
            assert response.logprobs.dtype == mx.float32
            assert np.isclose(np.exp(np.array(response.logprobs, np.float64)).sum(), 1, atol=1e-3)
    assert tokens == [200, 200, 200]


def test_only_wanted_probabilities_are_computed(model: llama.Model):
    generator = BatchSamplingGenerator(model)
    silent, reported = generator.insert(
        [[5, 9], [7, 3]], [6, 6], samplers=[sampler_for(Sampling(temperature=0))] * 2
    )
    generator.report_logprobs(reported)
    found: dict[int, list[Any]] = {silent: [], reported: []}
    while len(found[reported]) < 6:
        for response in generator.next()[1]:
            found[response.uid].append(response.logprobs)
    assert all(each is None for each in found[silent][1:])
    for logprobs in found[reported]:
        assert mx.exp(logprobs).sum().item() == pytest.approx(1, abs=1e-4)
