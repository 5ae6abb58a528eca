"""With a draft, too, an answer ends where it is to end, and what comes next goes on from its state."""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_lm.models.cache import KVCache

from jobs.generate import Sampling
from tests.integration.generate.drafts import (
    MODEL,
    Ask,
    alone,
    answer_of,
    decoder_of,
    each_draft,
    plainly,
    prompt,
    write,
)
from workers.runners.generate.decoding.batched_sampling import BatchSamplingGenerator
from workers.runners.generate.decoding.sampling import sampler_for


@each_draft
def test_an_answer_ends_at_its_last_token_wherever_that_falls(draft: nn.Module):
    drafted = decoder_of(draft)
    whole = plainly(Ask(prompt(13), 30))
    for most in range(1, 31):
        [found] = write(drafted, {0: Ask(prompt(13), most)})
        assert [new.token for new in found] == whole[:most]
        assert found[-1].finish == "length"


@each_draft
def test_an_answer_ends_at_an_end_token_wherever_that_falls(draft: nn.Module):
    whole = plainly(Ask(prompt(13), 30))
    for place, token in enumerate(whole):
        if token not in whole[:place]:
            [found] = write(decoder_of(draft, ends=[token]), {0: Ask(prompt(13), 30)})
            assert [new.token for new in found] == whole[: place + 1]
            assert found[-1].finish == "stop"


@each_draft
def test_an_ended_answers_state_is_that_of_its_tokens(draft: nn.Module):
    whole = plainly(Ask(prompt(13), 30))
    for count in (3, 4, 5, 6, 17, 30):
        generator = generator_of(draft, end=whole[count - 1] if count % 2 else None)
        generator.insert([prompt(13)], max_tokens=[30 if count % 2 else count])
        last = last_response(generator)
        assert last.all_tokens[:13] == prompt(13)
        assert last.all_tokens[13:] == whole[: len(last.all_tokens) - 13]
        assert last.all_tokens[-1] == last.token
        assert_state_of(last.all_tokens, last.prompt_cache)


def generator_of(draft: nn.Module, end: int | None) -> BatchSamplingGenerator:
    return BatchSamplingGenerator(
        MODEL,
        draft=draft,
        sampler=sampler_for(Sampling(temperature=0)),
        stop_tokens=[] if end is None else [(end,)],
        stream=mx.default_stream(mx.default_device()),
    )


def last_response(generator: BatchSamplingGenerator) -> Any:
    while True:
        for response in generator.next()[1]:
            if response.finish_reason is not None:
                return response


def assert_state_of(ids: Sequence[int], layers: Sequence[Any]) -> None:
    right = [KVCache() for _ in layers]
    MODEL(mx.array([ids]), cache=right)
    for layer, expected in zip(layers, right, strict=True):
        assert layer.offset == expected.offset == len(ids)
        for held, wanted in zip(layer.keys_and_values(), expected.keys_and_values(), strict=True):
            np.testing.assert_allclose(np.array(held), np.array(wanted), atol=1e-3)


@each_draft
def test_a_chat_goes_on_from_the_state_of_its_last_answer(draft: nn.Module):
    drafted = decoder_of(draft)
    first = Ask(prompt(25), 33)
    said = alone(drafted, first)
    second = Ask([*first.ids, *said, 7, 8, 9], 50)
    answer = answer_of(second)
    drafted.insert(answer)
    found: list[int] = []
    while len(drafted):
        found += [new.token for new in drafted.step(0.02)]
    assert answer.cached_tokens == len(first.ids) + len(said)
    assert found == plainly(second)


@each_draft
def test_another_answer_begins_where_one_was_removed(draft: nn.Module):
    drafted = decoder_of(draft)
    asks = [Ask(prompt(25), 60), Ask([*prompt(20), 3, 4], 40), Ask(prompt(30, 8), 40)]
    for ask in asks:
        uid = drafted.insert(answer_of(ask))
        found: list[int] = []
        for _ in range(9):
            found += [new.token for new in drafted.step(0.02)]
        drafted.remove([uid])
        assert len(drafted) == 0
        assert len(found) > 3
        assert found == plainly(ask)[: len(found)]


@each_draft
def test_a_restarted_decoder_begins_anew(draft: nn.Module):
    drafted = decoder_of(draft)
    drafted.insert(answer_of(Ask(prompt(25), 60)))
    for _ in range(6):
        drafted.step(0.02)
    drafted.restart()
    ask = Ask(prompt(18, 4), 40)
    assert alone(drafted, ask) == plainly(ask)
