"""Penalties and bias: what each adds to which token's logit."""

import math

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.models.cache import TokenBuffer

from jobs.errors import InvalidInput
from jobs.generate import Sampling
from workers.runners.generate.decoding.sampling import check_bias, processors_for

LOGITS = [2.0, -2.0, 1.0, -1.0, 0.0]
PROMPT = [0, 0, 1]


def penalised(sampling: Sampling, generated: list[int], dtype: mx.Dtype = mx.float32) -> list[float]:
    logits = mx.array([LOGITS], dtype=dtype)
    for processor in processors_for(sampling, len(PROMPT)):
        logits = processor(mx.array(PROMPT + generated, dtype=mx.int32), logits)
    assert logits.shape == (1, len(LOGITS))
    return np.array(logits[0].astype(mx.float32)).tolist()


def test_defaults_ask_for_no_processor():
    assert processors_for(Sampling(), 3) == []


def test_bias_is_added_to_its_tokens():
    assert penalised(Sampling(logit_bias={1: 5.0, 4: -100.0}), []) == [2.0, 3.0, 1.0, -1.0, -100.0]


def test_repetition_counts_prompt_and_answer_and_each_token_once():
    sampling = Sampling(repetition_penalty=2.0, repetition_context=0)
    assert penalised(sampling, []) == [1.0, -4.0, 1.0, -1.0, 0.0]
    assert penalised(sampling, [3, 3, 3]) == [1.0, -4.0, 1.0, -2.0, 0.0]


def test_repetition_sees_only_its_context():
    assert penalised(Sampling(repetition_penalty=2.0, repetition_context=2), [3]) == [
        2.0,
        -4.0,
        1.0,
        -2.0,
        0.0,
    ]


def test_presence_counts_the_answer_alone_and_each_token_once():
    sampling = Sampling(presence_penalty=0.5)
    assert penalised(sampling, []) == LOGITS
    assert penalised(sampling, [2, 2, 3]) == [2.0, -2.0, 0.5, -1.5, 0.0]


def test_frequency_counts_the_answer_alone_and_every_time():
    sampling = Sampling(frequency_penalty=0.5)
    assert penalised(sampling, []) == LOGITS
    assert penalised(sampling, [2, 2, 3]) == [2.0, -2.0, 0.0, -1.5, 0.0]


def test_presence_and_frequency_see_only_their_contexts():
    sampling = Sampling(presence_penalty=1.0, presence_context=1, frequency_penalty=0.25, frequency_context=2)
    assert penalised(sampling, [2, 3, 3]) == [2.0, -2.0, 1.0, -2.5, 0.0]


def test_context_longer_than_the_answer_does_not_reach_into_the_prompt():
    sampling = Sampling(
        presence_penalty=1.0, presence_context=50, frequency_penalty=1.0, frequency_context=50
    )
    assert penalised(sampling, [4]) == [2.0, -2.0, 1.0, -1.0, -2.0]


def test_negative_penalties_reward():
    assert penalised(Sampling(presence_penalty=-1.0, frequency_penalty=-0.5), [4, 4])[4] == 2.0


def test_bias_comes_first_and_the_penalties_on_top_of_it():
    sampling = Sampling(
        logit_bias={2: 3.0}, repetition_penalty=2.0, frequency_penalty=0.5, presence_penalty=0.25
    )
    assert penalised(sampling, [2, 2])[2] == (1.0 + 3.0) / 2 - 2 * 0.5 - 0.25


def test_bfloat16_logits_are_penalised_in_float32():
    penalty = 1.0 + 2**-12
    assert penalised(Sampling(repetition_penalty=penalty), [], mx.bfloat16)[1] == -2.0 * penalty


@pytest.mark.parametrize(
    "sampling",
    [
        *(Sampling(repetition_penalty=value) for value in (5e-324, 1e-300, 1e-38, 1e-10, 10.0)),
        *(Sampling(frequency_penalty=value) for value in (-2.0, 5e-324, 2.0)),
        *(Sampling(presence_penalty=value) for value in (-2.0, 5e-324, 2.0)),
        Sampling(logit_bias={0: 100.0, 1: -100.0}, repetition_penalty=5e-324, frequency_penalty=-2.0),
    ],
)
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_logits_stay_numbers_whatever_a_request_may_ask_for(sampling: Sampling, dtype: mx.Dtype):
    found = mx.array([penalised(sampling, [0, 1, 2] * 100, dtype)])
    assert mx.isfinite(found).all() and mx.isfinite(mx.logsumexp(found))


def test_the_smallest_repetition_penalty_keeps_the_order_of_the_tokens_that_came():
    found = penalised(Sampling(repetition_penalty=5e-324, repetition_context=0), [2])
    assert sorted(range(5), key=found.__getitem__)[-2:] == [2, 0]


def test_given_logits_are_not_changed():
    logits = mx.array([LOGITS])
    everything = Sampling(
        logit_bias={0: 1.0}, repetition_penalty=2.0, presence_penalty=1.0, frequency_penalty=1.0
    )
    for processor in processors_for(everything, 1):
        changed = processor(mx.array([0, 1, 2]), logits)
        assert not mx.array_equal(changed, logits).item()
        assert logits[0].tolist() == LOGITS


def test_tokens_arrive_from_mlx_lms_buffer_as_prompt_and_answer():
    buffer = TokenBuffer(PROMPT[:-1])
    processor = processors_for(Sampling(presence_penalty=1.0), len(PROMPT))[0]
    first = processor(buffer.update_and_fetch(mx.array(PROMPT[-1:])), mx.array([LOGITS]))
    second = processor(buffer.update_and_fetch(mx.array([4])), mx.array([LOGITS]))
    assert first[0].tolist() == LOGITS
    assert second[0].tolist() == [2.0, -2.0, 1.0, -1.0, -1.0]


@pytest.mark.parametrize("bias", [{5: 1.0}, {-1: 1.0}, {0: 1.0, 2**40: 1.0}, {0: math.nan}, {0: math.inf}])
def test_bias_that_the_model_cannot_take_names_its_field(bias: dict[int, float]):
    with pytest.raises(InvalidInput, match="token id") as caught:
        check_bias(bias, 5)
    assert caught.value.param == "logit_bias"


def test_bias_within_the_vocabulary_is_accepted():
    check_bias({0: -100.0, 4: 100.0}, 5)


def test_only_allowed_tokens_keep_their_logits():
    assert penalised(Sampling(allowed_ids=(0, 3, 3)), []) == [2.0, -math.inf, -math.inf, -1.0, -math.inf]
    assert penalised(Sampling(allowed_ids=(0,), logit_bias={1: 100.0}), [])[1] == -math.inf


@pytest.mark.parametrize(("generated", "ruled_out"), [([], True), ([2], True), ([2, 2], False)])
def test_ends_are_ruled_out_at_the_beginning(generated: list[int], ruled_out: bool):
    sampling = Sampling(min_tokens=2, stop_ids=(4,))
    logits = mx.array([LOGITS])
    for processor in processors_for(sampling, len(PROMPT), model_ends=(1,)):
        logits = processor(mx.array(PROMPT + generated, dtype=mx.int32), logits)
    found = np.array(logits[0]).tolist()
    assert found == ([2.0, -math.inf, 1.0, -1.0, -math.inf] if ruled_out else LOGITS)
