"""A draft makes an answer that is alone faster, and changes no answer."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_map
from mlx_lm.models import gemma3_text, mamba2, qwen3
from mlx_lm.models.cache import KVCache

from jobs.answer_format import JsonFormat
from jobs.errors import InvalidInput
from jobs.generate import GenerateJob, Prompt, Sampling
from tests.checkpoints import vocabularies
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken
from workers.runners.generate.decoding.batched_sampling import BatchSamplingGenerator
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


def assert_sure(ids: Sequence[int], said: Sequence[int]) -> None:
    """The greedy answer does not hang on rounding."""
    logits = np.array(MODEL(mx.array([[*ids, *said]]))[0, len(ids) - 1 : -1])
    leads = np.sort(logits)[:, -1] - np.sort(logits)[:, -2]
    assert (logits.argmax(axis=-1) == np.array(said)).all()
    assert leads.min() > SURE


@each_draft
def test_greedy_answers_are_those_without_a_draft(draft: nn.Module):
    drafted, plain = decoder_of(draft), decoder_of(None)
    for length in (1, 2, 3, 9, 17, 40, 200):
        ask = Ask(prompt(length, length), max_tokens=70)
        expected = alone(plain, ask)
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
    assert [new.token for step in steps for new in step] == alone(decoder_of(None), ask)


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
    drafted, plain = decoder_of(draft), decoder_of(None)
    for sampling in (
        Sampling(seed=1),
        Sampling(seed=2, temperature=0.7, top_p=0.8),
        Sampling(seed=3, temperature=1.5, top_k=12, min_p=0.02),
    ):
        ask = Ask(prompt(11), 80, sampling)
        assert alone(drafted, ask) == alone(plain, ask)


def test_an_answer_with_a_seed_goes_on_where_another_decoder_stopped():
    ask = Ask(prompt(11), 40, Sampling(seed=5))
    whole = alone(decoder_of(None), ask)
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
    plain = decoder_of(None)
    expected = [alone(plain, ask) for ask in asks.values()]
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
    assert alone(decoder, ask) == alone(decoder_of(None), ask)
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
def test_an_answer_ends_at_its_last_token_wherever_that_falls(draft: nn.Module):
    drafted = decoder_of(draft)
    whole = alone(decoder_of(None), Ask(prompt(13), 30))
    for most in range(1, 31):
        [found] = write(drafted, {0: Ask(prompt(13), most)})
        assert [new.token for new in found] == whole[:most]
        assert found[-1].finish == "length"


@each_draft
def test_an_answer_ends_at_an_end_token_wherever_that_falls(draft: nn.Module):
    whole = alone(decoder_of(None), Ask(prompt(13), 30))
    for place, token in enumerate(whole):
        if token not in whole[:place]:
            [found] = write(decoder_of(draft, ends=[token]), {0: Ask(prompt(13), 30)})
            assert [new.token for new in found] == whole[: place + 1]
            assert found[-1].finish == "stop"


@each_draft
def test_an_ended_answers_state_is_that_of_its_tokens(draft: nn.Module):
    plain = decoder_of(None)
    whole = alone(plain, Ask(prompt(13), 30))
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
    assert found == alone(decoder_of(None), second)


@each_draft
def test_another_answer_begins_where_one_was_removed(draft: nn.Module):
    drafted = decoder_of(draft)
    asks = [Ask(prompt(25), 60), Ask([*prompt(20), 3, 4], 40), Ask(prompt(30, 8), 40)]
    plain = decoder_of(None)
    for ask in asks:
        uid = drafted.insert(answer_of(ask))
        found: list[int] = []
        for _ in range(9):
            found += [new.token for new in drafted.step(0.02)]
        drafted.remove([uid])
        assert len(drafted) == 0
        assert len(found) > 3
        assert found == alone(plain, ask)[: len(found)]


@each_draft
def test_a_restarted_decoder_begins_anew(draft: nn.Module):
    drafted = decoder_of(draft)
    drafted.insert(answer_of(Ask(prompt(25), 60)))
    for _ in range(6):
        drafted.step(0.02)
    drafted.restart()
    ask = Ask(prompt(18, 4), 40)
    assert alone(drafted, ask) == alone(decoder_of(None), ask)


@each_draft
def test_penalties_see_the_same_tokens_with_a_draft(draft: nn.Module):
    counted = Counted(MODEL)
    drafted, plain = decoder_of(draft, model=counted), decoder_of(None)
    for sampling in (
        Sampling(temperature=0, repetition_penalty=1.3, logit_bias={5: 4.0}),
        Sampling(temperature=0, frequency_penalty=1.5, presence_penalty=0.7),
        Sampling(seed=2, frequency_penalty=0.5, repetition_penalty=1.2, repetition_context=0),
    ):
        ask = Ask(prompt(16), 80, sampling)
        expected = alone(plain, ask)
        assert alone(drafted, ask) == expected != alone(plain, Ask(prompt(16), 80))
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
    assert alone(drafted, ask) == alone(decoder_of(None), ask)
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
