"""Choosing the next token: what each parameter leaves, how often each token comes, seeds."""

from collections import Counter
from itertools import pairwise

import mlx.core as mx
import numpy as np
import pytest

from jobs.generate import Sampling
from workers.runners.generate.decoding.sampling import sample, sampler_for

CHANCES = [0.4, 0.3, 0.15, 0.1, 0.05]
ROWS = 4000


def logits(logprobs_reader: list[float] = CHANCES, rows: int = ROWS) -> mx.array:
    return mx.broadcast_to(mx.log(mx.array(logprobs_reader)), (rows, len(logprobs_reader)))


def drawn(sampling: Sampling, logprobs_reader: list[float] = CHANCES) -> dict[int, float]:
    """How often each token comes, of those that do."""
    counts = Counter(np.array(sampler_for(sampling)(logits(logprobs_reader))).tolist())
    return {token: count / ROWS for token, count in sorted(counts.items())}


def expected(weights: dict[int, float]) -> object:
    total = sum(weights.values())
    return pytest.approx({token: weight / total for token, weight in weights.items()}, abs=0.04)


def noise_logits(rows: int, vocab_size: int = 700) -> mx.array:
    return mx.array(np.random.default_rng(3).normal(0, 2, (rows, vocab_size)).astype(np.float32))


def test_temperature_zero_takes_the_most_probable_token_of_each_row():
    values = noise_logits(5)
    tokens = sampler_for(Sampling(temperature=0))(values)
    assert np.array(tokens).tolist() == np.array(values).argmax(axis=1).tolist()


def test_defaults_draw_by_the_models_own_probabilities():
    assert drawn(Sampling()) == expected(dict(enumerate(CHANCES)))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_sharpens_and_flattens(temperature: float):
    weights = {token: chance ** (1 / temperature) for token, chance in enumerate(CHANCES)}
    assert drawn(Sampling(temperature=temperature)) == expected(weights)


def test_top_k_leaves_the_k_most_probable():
    assert drawn(Sampling(top_k=2)) == expected({0: 0.4, 1: 0.3})


def test_top_p_leaves_the_fewest_tokens_that_reach_it():
    assert drawn(Sampling(top_p=0.69)) == expected({0: 0.4, 1: 0.3})
    assert drawn(Sampling(top_p=0.71)) == expected({0: 0.4, 1: 0.3, 2: 0.15})


def test_top_p_is_of_what_top_k_left():
    assert drawn(Sampling(top_k=3, top_p=0.8)) == expected({0: 0.4, 1: 0.3})  # of 0.47, 0.35, 0.18


def test_min_p_is_a_share_of_the_most_probable():
    assert drawn(Sampling(min_p=0.3)) == expected({0: 0.4, 1: 0.3, 2: 0.15})


def test_temperature_comes_before_the_cuts():
    hot = {token: chance**0.5 for token, chance in enumerate(CHANCES)}
    assert drawn(Sampling(temperature=2.0, min_p=0.3)) == expected(hot)
    assert drawn(Sampling(temperature=0.25, top_p=0.7)) == expected({0: 1.0})


@pytest.mark.parametrize("top_k", [5, 6, 10**6])
def test_top_k_as_large_as_the_vocabulary_leaves_all(top_k: int):
    assert drawn(Sampling(top_k=top_k)) == expected(dict(enumerate(CHANCES)))


@pytest.mark.parametrize(
    "sampling",
    [Sampling(top_k=1), Sampling(top_p=0.0), Sampling(temperature=1e-30), Sampling(min_p=1.0)],
)
def test_limits_that_leave_one_token_always_take_it(sampling: Sampling):
    assert drawn(sampling) == {0: 1.0}


def test_token_that_is_ruled_out_never_comes_under_any_rule():
    values = mx.where(mx.arange(700) == 41, noise_logits(500), -mx.inf)
    for sampling in (Sampling(), Sampling(top_k=5), Sampling(top_p=0.5), Sampling(min_p=0.1, top_k=900)):
        assert set(np.array(sampler_for(sampling)(values)).tolist()) == {41}


def test_bfloat16_logits_are_drawn_from_as_float32():
    values = noise_logits(64).astype(mx.bfloat16)
    first, second = (
        sample(logits, [sampler_for(Sampling(seed=row)) for row in range(64)])
        for logits in (values, values.astype(mx.float32))
    )
    assert mx.array_equal(first, second).item()


def test_rows_and_calls_without_a_seed_differ():
    sampler = sampler_for(Sampling())
    draws = [tuple(np.array(sampler(mx.zeros((50, 1000)))).tolist()) for _ in range(3)]
    assert len(set(draws)) == 3
    assert all(len(set(draw)) > 30 for draw in draws)


def test_state_of_mlx_own_random_numbers_plays_no_part():
    sampler = sampler_for(Sampling())
    first, second = (tuple(np.array(draw_after_seed(sampler)).tolist()) for _ in range(2))
    assert first != second


def draw_after_seed(sampler: object) -> mx.array:
    mx.random.seed(7)
    return sampler(mx.zeros((20, 1000)))  # pyright: ignore[reportCallIssue]


def test_equal_parameters_without_a_seed_share_one_sampler():
    assert sampler_for(Sampling(top_p=0.9)) is sampler_for(Sampling(top_p=0.9, presence_penalty=1.0))
    assert sampler_for(Sampling(top_p=0.9)) is not sampler_for(Sampling(top_p=0.8))
    assert sampler_for(Sampling(seed=1)) is not sampler_for(Sampling(seed=1))


def test_every_greedy_request_shares_one_sampler():
    greedy = [Sampling(temperature=0), Sampling(temperature=0, top_p=0.5, seed=3), Sampling(top_k=1)]
    assert len({id(sampler_for(sampling)) for sampling in greedy}) == 1


def steps(sampling: Sampling, values: mx.array, **start: int) -> list[int]:
    """Tokens of one answer, drawn alone. values: (steps, vocabulary)."""
    sampler = sampler_for(sampling, **start)
    return [sampler(values[i : i + 1]).item() for i in range(start.get("skipped", 0), len(values))]  # pyright: ignore


MIXED = [
    Sampling(seed=5),
    Sampling(temperature=0),
    Sampling(seed=5, top_p=0.8, temperature=0.7),
    Sampling(seed=6, top_k=40),
    Sampling(seed=7, min_p=0.05, temperature=1.4),
    Sampling(seed=-8, top_k=10, top_p=0.9, min_p=0.01),
]


def test_seeded_answer_is_the_same_alone_and_in_any_place_of_a_mixed_batch():
    values = [noise_logits(12) * (1 + 0.1 * i) for i in range(len(MIXED))]
    alone = [steps(sampling, own) for sampling, own in zip(MIXED, values, strict=True)]
    for order in (range(len(MIXED)), [3, 1, 5, 0, 2, 4], [4, 2]):
        samplers = [sampler_for(MIXED[i]) for i in order]
        batch = [sample(mx.stack([values[i][step] for i in order]), samplers) for step in range(12)]
        assert np.array(mx.stack(batch, axis=1)).tolist() == [alone[i] for i in order]


def test_mixed_batch_leaves_each_row_what_its_own_rule_leaves():
    rules = [
        Sampling(top_k=2),
        Sampling(temperature=0),
        Sampling(top_p=0.71),
        Sampling(top_k=3, top_p=0.8),  # of 0.47, 0.35, 0.18
        Sampling(min_p=0.3),
        Sampling(),
    ]
    tokens = sample(logits(rows=2400), [sampler_for(rule) for rule in rules] * 400)
    seen = [set(column) for column in np.array(tokens).reshape(400, 6).T.tolist()]
    assert seen == [{0, 1}, {0}, {0, 1, 2}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3, 4}]


def test_resumed_answer_goes_on_with_the_same_tokens():
    values = noise_logits(12)
    whole = steps(Sampling(seed=9), values)
    for skipped in (1, 7, 11):
        assert steps(Sampling(seed=9), values, skipped=skipped) == whole[skipped:]


def test_answers_of_one_seeded_request_differ_and_so_do_steps_and_seeds():
    flat = mx.zeros((12, 1000))
    answers = [
        steps(Sampling(seed=seed), flat, choice=choice) for seed in (1, 2, 11) for choice in (0, 1, 11)
    ]
    assert len({tuple(answer) for answer in answers}) == 9
    assert sum(a == b for answer in answers for a, b in pairwise(answer)) < 4
