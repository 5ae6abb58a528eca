"""A draft makes an answer that is alone faster, and changes no answer."""

from collections.abc import Callable

import numpy as np
import pytest
from mlx import nn
from mlx_lm.models import gemma3_text, mamba2

from jobs.errors import InvalidInput
from jobs.generate import Sampling
from tests.integration.generate.drafts import (
    DRAFTS,
    FORM,
    LONG,
    MODEL,
    VOCAB_SIZE,
    Ask,
    Counted,
    alone,
    answer_of,
    assert_sure,
    build,
    decoder_of,
    each_draft,
    plainly,
    prompt,
    steps_of,
    write,
)


@each_draft
def test_greedy_answers_are_those_without_a_draft(draft: nn.Module):
    drafted = decoder_of(draft)
    for length in (1, 2, 3, 9, 17, 40, 200):
        ask = Ask(prompt(length, length), max_tokens=70)
        expected = plainly(ask)
        assert_sure(ask.ids, expected)
        assert alone(drafted, ask) == expected


@each_draft
def test_a_long_prompt_is_read_by_the_draft_in_pieces_while_its_answer_goes_on(draft: nn.Module):
    counted = Counted(draft)
    ask = Ask(prompt(LONG))
    drafted = decoder_of(counted)  # pyright: ignore[reportArgumentType]
    [steps] = steps_of(drafted, {0: ask})
    told = [len(step) for step in steps if step]
    assert max(counted.widths) == 512
    assert told[:2] == [1, 1]
    assert [new.token for step in steps for new in step] == plainly(ask)


def test_a_good_draft_saves_most_calls_of_the_model():
    for sampling in (Sampling(temperature=0), Sampling(seed=3), Sampling()):
        counted = Counted(MODEL)
        said = alone(decoder_of(MODEL, model=counted), Ask(prompt(20), 120, sampling))
        assert len(said) == 120
        assert len(counted.widths) < 120 / 4


def test_a_bad_draft_is_soon_left_alone():
    counted = Counted(DRAFTS["bad"])
    said = alone(decoder_of(counted), Ask(prompt(20), 400))  # pyright: ignore[reportArgumentType]
    assert len(said) == 400
    assert len(counted.widths) < 100


@each_draft
def test_a_seed_draws_the_same_tokens_with_a_draft(draft: nn.Module):
    drafted = decoder_of(draft)
    for sampling in (
        Sampling(seed=1),
        Sampling(seed=2, temperature=0.7, top_p=0.8),
        Sampling(seed=3, temperature=1.5, top_k=12, min_p=0.02),
    ):
        ask = Ask(prompt(11), 80, sampling)
        assert alone(drafted, ask) == plainly(ask)


def test_an_answer_with_a_seed_goes_on_where_another_decoder_stopped():
    ask = Ask(prompt(11), 40, Sampling(seed=5))
    whole = plainly(ask)
    drafted = decoder_of(MODEL)
    for cut in (1, 6, 39):
        answer = answer_of(ask)
        answer.generated = whole[:cut]
        answer.rewind()
        drafted.insert(answer)
        rest: list[int] = []
        while len(drafted):
            rest += [new.token for new in drafted.step(0.02)]
        assert whole[:cut] + rest == whole


@each_draft
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(seed=8)], ids=["greedy", "seeded"])
def test_others_join_and_leave_without_changing_an_answer(draft: nn.Module, sampling: Sampling):
    asks = {
        0: Ask(prompt(30), 150, sampling),
        9: Ask(prompt(60, 5), 12, sampling),
        14: Ask(prompt(300, 9), 5, sampling),
        40: Ask(prompt(20, 2), 60, sampling),
    }
    expected = [plainly(ask) for ask in asks.values()]
    found = write(decoder_of(draft), asks)
    assert [[new.token for new in news] for news in found] == expected


def test_proposals_are_made_to_an_answer_only_while_it_is_alone():
    decoder = decoder_of(MODEL)
    first, second = steps_of(decoder, {0: Ask(prompt(30), 200), 6: Ask(prompt(60, 5), 9)})
    company = [step for step, news in enumerate(second) if news]
    assert max(len(first[step]) for step in range(company[0])) > 1
    assert {len(first[step]) for step in company} == {1}
    assert {len(second[step]) for step in company} == {1}
    assert max(len(news) for news in first[company[-1] + 1 :]) > 1


def test_nothing_is_proposed_while_a_prompt_waits():
    decoder = decoder_of(MODEL)
    decoder.insert(answer_of(Ask(prompt(30), 300)))
    while len(decoder.step(0.02)) < 2:
        pass
    decoder.insert(answer_of(Ask(prompt(LONG, 3), 20)))
    steps = 0
    while decoder.running < 2:
        assert len(decoder.step(0.0)) == 1
        steps += 1
    assert steps > 3


def test_what_two_prompts_begin_with_is_read_by_the_draft_once():
    draft, model = Counted(MODEL), Counted(MODEL)
    decoder = decoder_of(draft, model=model)  # pyright: ignore[reportArgumentType]
    alone(decoder, Ask([*prompt(60), 7], 20))
    draft.read.clear()
    model.read.clear()
    ask = Ask([*prompt(60), 8, 9], 20)
    assert alone(decoder, ask) == plainly(ask)
    assert sum(draft.widths) < 40
    assert sum(model.widths) == 2 + 20  # all proposals were right


def test_nothing_is_proposed_that_an_answer_has_no_room_for():
    for most in range(1, 15):
        counted = Counted(MODEL)
        decoder = decoder_of(MODEL, model=counted)
        counted.read.clear()
        alone(decoder, Ask(prompt(13), most))
        assert sum(counted.widths) == 13 + most


@each_draft
def test_penalties_see_the_same_tokens_with_a_draft(draft: nn.Module):
    counted = Counted(MODEL)
    drafted = decoder_of(draft, model=counted)
    for sampling in (
        Sampling(temperature=0, repetition_penalty=1.3, logit_bias={5: 4.0}),
        Sampling(temperature=0, frequency_penalty=1.5, presence_penalty=0.7),
        Sampling(seed=2, frequency_penalty=0.5, repetition_penalty=1.2, repetition_context=0),
    ):
        ask = Ask(prompt(16), 80, sampling)
        expected = plainly(ask)
        assert alone(drafted, ask) == expected != plainly(Ask(prompt(16), 80))
    if draft is MODEL:  # it knows of no penalties, and is still right often enough
        assert len(counted.widths) < 3 * 80 * 2 / 3


def test_a_grammars_answer_gets_no_proposals_and_is_the_same():
    counted = Counted(MODEL)
    drafted = decoder_of(counted, ends=[0])  # pyright: ignore[reportArgumentType]
    counted.read.clear()
    ask = Ask(prompt(16), 40, Sampling(seed=2), FORM)
    assert alone(drafted, ask) == alone(decoder_of(None, ends=[0]), ask)
    assert counted.read == []


@each_draft
def test_logprobs_are_those_without_a_draft(draft: nn.Module):
    ask = Ask(prompt(16), 40, logprobs=3)
    [found] = write(decoder_of(draft), {0: ask})
    [expected] = write(decoder_of(None), {0: ask})
    assert [new.token for new in found] == [new.token for new in expected]
    for new, wanted in zip(found, expected, strict=True):
        assert new.logprobs is not None and wanted.logprobs is not None
        np.testing.assert_allclose(new.logprobs, wanted.logprobs, atol=1e-3)


@pytest.mark.parametrize("more", [-2, 2])
def test_a_draft_of_the_same_tokenizer_may_have_other_padding(more: int):
    draft = Counted(build(3, VOCAB_SIZE + more))
    ask = Ask([VOCAB_SIZE - 1, *prompt(9)], 50)
    drafted = decoder_of(draft)  # pyright: ignore[reportArgumentType]
    assert alone(drafted, ask) == plainly(ask)
    assert max(int(ids.max()) for ids in draft.read) == VOCAB_SIZE - 1 + min(0, more)


@pytest.mark.parametrize("size", [VOCAB_SIZE // 2, VOCAB_SIZE * 2])
def test_a_draft_of_another_vocabulary_is_refused(size: int):
    with pytest.raises(InvalidInput, match=f"{size} tokens, and the model's {VOCAB_SIZE}"):
        decoder_of(build(3, size))


def sliding() -> nn.Module:
    return gemma3_text.Model(
        gemma3_text.ModelArgs(
            model_type="gemma3_text", hidden_size=32, num_hidden_layers=2, intermediate_size=32,
            num_attention_heads=2, head_dim=16, vocab_size=VOCAB_SIZE, num_key_value_heads=1, sliding_window=8,
        )
    )  # fmt: skip


def recurrent() -> nn.Module:
    return mamba2.Model(
        mamba2.ModelArgs(
            model_type="mamba2", num_heads=4, head_dim=16, vocab_size=VOCAB_SIZE, hidden_size=32,
            intermediate_size=64, state_size=16, num_hidden_layers=2, layer_norm_epsilon=1e-5, conv_kernel=4,
            n_groups=1, use_bias=False, use_conv_bias=True, tie_word_embeddings=True,
            time_step_limit=(0.0, 1.0), time_step_rank="auto",
        )
    )  # fmt: skip


@pytest.mark.parametrize("other", [sliding, recurrent])
def test_a_model_that_cannot_take_tokens_back_is_refused(other: Callable[[], nn.Module]):
    with pytest.raises(InvalidInput, match="This model cannot have a draft"):
        decoder_of(MODEL, model=other())
    with pytest.raises(InvalidInput, match="This model cannot be a draft"):
        decoder_of(other())


def test_a_decoder_without_a_draft_takes_models_that_forget():
    assert decoder_of(None, model=sliding()).step_s() == 0.0
