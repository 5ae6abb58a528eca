"""How probable a prompt's tokens are: read while it is computed, in any company, and the same as one pass computes."""

import random
from typing import Any

import mlx.core as mx
import msgspec
import numpy as np
import pytest
from mlx_lm.utils import load_model

from jobs.errors import InputTooLong, InvalidInput
from jobs.generate import LEAST_LOGPROB, GenerateJob, Prompt, PromptToken, Sampling
from tests.support.answers import answer_to, pieces_of, write
from tests.support.folders import TINY_CHAT
from workers.runners.contract import loaded
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import decoder_of
from workers.runners.generate.output.prompt_logprobs import PromptScores
from workers.runners.generate.runner import GenerateRunner, ModelFiles
from workers.runners.generate.write_down import write_down

GREEDY = Sampling(temperature=0)
TOP = 3


@pytest.fixture(scope="module")
def runner() -> GenerateRunner:
    return loaded(GenerateRunner("tiny-chat", ModelFiles(TINY_CHAT), slots=16, prefix_cache_bytes=1 << 24))


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(TINY_CHAT)[0]


def ask(ids: tuple[int, ...], *, max_tokens: int = 1, **more: Any) -> GenerateJob:
    fields = {"prompt_logprobs": TOP, "logprobs": 0, "echo": True, "stream": True, **more}
    return GenerateJob("m", Prompt(ids), max_tokens=max_tokens, sampling=GREEDY, **fields)


def ids_of(length: int, seed: int) -> tuple[int, ...]:
    chance = random.Random(seed)
    return tuple(chance.randrange(4, 250) for _ in range(length))


def expected(model: Any, ids: tuple[int, ...]) -> np.ndarray:
    """Log-probabilities (tokens - 1, vocabulary) of what follows each token but the last, by one pass."""
    logits = model(mx.array([ids]))[0].astype(mx.float32)
    return np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))[:-1]


def assert_scored(told: tuple[PromptToken, ...], ids: tuple[int, ...], logprobs: np.ndarray):
    assert tuple(token.id for token in told) == ids
    assert (told[0].logprob, told[0].rank, told[0].top) == (None, None, ())
    for token, row in zip(told[1:], logprobs, strict=True):
        assert token.logprob == pytest.approx(row[token.id], abs=1e-3)
        assert token.rank is not None
        assert [each.logprob for each in token.top] == pytest.approx(sorted(row)[: -TOP - 1 : -1], abs=1e-3)
        if token.rank <= TOP:
            assert token.top[token.rank - 1].logprob == token.logprob


@pytest.mark.parametrize("length", [1, 2, 40])
def test_a_prompts_tokens_are_scored_as_by_one_pass(runner: GenerateRunner, model: Any, length: int):
    ids = ids_of(length, seed=length)
    found = write(runner, ask(ids))
    assert_scored(found.prompt_logprobs, ids, expected(model, ids))
    assert (found.tokens, len(found.logprobs)) == (1, 1)


def test_prompts_of_any_length_are_scored_together_and_in_chunks(
    runner: GenerateRunner, model: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(decoder_of(runner), "_max_scored", 24)
    prompts = [ids_of(length, seed=length) for length in (5, 61, 2, 30, 17)]
    answers = [answer_to(runner, ask(ids)) for ids in prompts]
    answers.append(answer_to(runner, ask(ids_of(33, seed=1), prompt_logprobs=None)))
    decoder = decoder_of(runner)
    by_uid = {decoder.insert(answer): answer for answer in answers}
    while len(decoder):
        for new in decoder.step(0.02):
            write_down(by_uid[new.uid], new, runner.logprobs_reader)
    for answer in answers:
        answer.transcript.take()
    *scored, other = [answer.transcript.choice_so_far() for answer in answers]
    for choice, ids in zip(scored, prompts, strict=True):
        assert_scored(choice.prompt_logprobs, ids, expected(model, ids))
    assert other.prompt_logprobs == ()


def test_a_prompt_that_was_read_before_is_scored_all_the_same(runner: GenerateRunner, model: Any):
    ids = ids_of(60, seed=8)
    assert write(runner, ask(ids, prompt_logprobs=None)).prompt_logprobs == ()
    assert_scored(write(runner, ask(ids)).prompt_logprobs, ids, expected(model, ids))


def test_an_empty_answer_has_its_prompts_scores_and_no_tokens(runner: GenerateRunner, model: Any):
    ids = ids_of(12, seed=4)
    [piece] = pieces_of(runner, answer_to(runner, ask(ids, max_tokens=0)))
    assert (piece.tokens, piece.logprobs, piece.finish_reason) == ((), (), "length")
    assert_scored(piece.prompt_logprobs, ids, expected(model, ids))
    found = write(runner, ask(ids, max_tokens=0, echo=False, prompt_logprobs=None))
    assert (found.text, found.tokens, found.finish_reason) == ("", 0, "length")


def test_an_empty_answer_needs_no_room_behind_its_prompt(runner: GenerateRunner):
    context = runner.info.max_tokens
    prompt = ids_of(context, seed=1)
    [answers, error] = runner.prepare([ask(prompt, max_tokens=0), ask(prompt)])
    assert isinstance(answers, list)
    assert isinstance(error, InputTooLong)
    assert f"This model's maximum context length is {context} tokens." in error.message


def test_an_answer_that_another_worker_began_has_no_second_scores(runner: GenerateRunner):
    job = ask(ids_of(20, seed=2), max_tokens=6)
    whole = answer_to(runner, job)
    pieces = pieces_of(runner, whole)
    resumed = answer_to(runner, job)
    resumed.transcript.replay(pieces[:1])
    resumed.ids += pieces[0].tokens
    assert not resumed.wants_scores
    assert resumed.transcript.choice_so_far().prompt_logprobs == pieces[0].prompt_logprobs


def test_an_answer_that_was_interrupted_before_its_first_token_is_scored_anew(
    runner: GenerateRunner, model: Any
):
    ids = ids_of(50, seed=6)
    answer = answer_to(runner, ask(ids))
    decoder_of(runner).insert(answer)
    decoder_of(runner).step(0.0)
    decoder_of(runner).restart()
    answer.rewind()
    pieces_of(runner, answer)
    assert_scored(answer.transcript.choice_so_far().prompt_logprobs, ids, expected(model, ids))


def test_scores_that_make_too_large_an_event_are_refused(runner: GenerateRunner):
    job = ask(ids_of(400, seed=5), prompt_logprobs=100, stream=True)
    [error] = runner.prepare([job])
    assert isinstance(error, InvalidInput)
    assert "Ask without stream" in error.message


def test_scores_that_make_too_large_a_result_are_refused(runner: GenerateRunner):
    [error] = runner.prepare([ask(ids_of(2000, seed=5), prompt_logprobs=20, n=13, stream=False)])
    assert isinstance(error, InvalidInput)
    assert "at most 524288" in error.message


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_is_no_stream_is_told_with_the_result_once_for_all_answers(
    runner: GenerateRunner, model: Any, monkeypatch: pytest.MonkeyPatch, interrupted: bool
):
    ids = ids_of(50, seed=9)
    job = ask(ids, n=2, stream=False, max_tokens=3)
    [answers] = runner.prepare([job])
    assert isinstance(answers, list)
    described: list[PromptScores] = []
    describe = PromptScores.describe

    def counted(self: PromptScores, *arguments: Any) -> tuple[PromptToken, ...]:
        described.append(self)
        return describe(self, *arguments)

    monkeypatch.setattr(PromptScores, "describe", counted)
    decoder = decoder_of(runner)
    for answer in answers:
        uid = decoder.insert(answer)
        while not answer.is_complete:
            for new in decoder.step(0.02):
                answer.generated.append(new.token)
                write_down(answer, new, runner.logprobs_reader)
            if interrupted and len(answer.generated) == 1:
                decoder.restart()
                answer.rewind()
                uid = decoder.insert(answer)
        decoder.remove([uid])
        answer.transcript.take()
    assert not described
    result = runner.assemble(job, answers, [answer.transcript.choice_so_far() for answer in answers])
    assert len(described) == 1
    for choice in result.choices:
        assert_scored(choice.prompt_logprobs, ids, expected(model, ids))


def test_a_prompt_does_not_wait_for_scores_of_others(runner: GenerateRunner, monkeypatch: pytest.MonkeyPatch):
    """All of it is one chunk, in its own turn."""
    decoder = decoder_of(runner)
    decoder.restart()
    monkeypatch.setattr(decoder, "_max_scored", 32)
    for seed in range(7):
        decoder.insert(answer_to(runner, ask(ids_of(100, seed=seed))))
    plain = decoder.insert(answer_to(runner, ask(ids_of(1500, seed=1), prompt_logprobs=None)))
    found = [new.uid for _ in range(6) for new in decoder.step(10.0)]
    decoder.restart()
    assert plain in found


def test_removing_an_answer_finds_it_in_any_turn(runner: GenerateRunner):
    decoder = decoder_of(runner)
    decoder.restart()
    uids = [
        decoder.insert(answer_to(runner, ask(ids_of(60, seed=n), prompt_logprobs=top)))
        for n, top in enumerate((1, None, 1, None))
    ]
    decoder.step(0.0)
    decoder.remove(uids[:2])
    found: set[int] = set()
    while len(decoder):
        found |= {new.uid for new in decoder.step(0.02)}
    assert found == set(uids[2:])


def test_scored_prompts_take_no_room_in_the_prefix_cache(runner: GenerateRunner):
    ids = ids_of(400, seed=31)
    write(runner, ask(ids))
    assert answer_begun(runner, ids).cached_tokens == 0
    write(runner, ask(ids, prompt_logprobs=None))
    assert answer_begun(runner, ids).cached_tokens == 399


def answer_begun(runner: GenerateRunner, ids: tuple[int, ...]) -> Answer:
    answer = answer_to(runner, ask(ids, prompt_logprobs=None))
    decoder_of(runner).remove([decoder_of(runner).insert(answer)])
    return answer


def test_special_tokens_that_the_text_has_not_are_hidden(runner: GenerateRunner):
    told = write(
        runner, GenerateJob("m", Prompt("Hi <|im_end|>"), echo=True, max_tokens=0, prompt_logprobs=0)
    )
    assert [(token.text, token.hidden) for token in told.prompt_logprobs][-1] == ("<|im_end|>", False)
    assert "".join(token.text for token in told.prompt_logprobs if not token.hidden) == told.text


def test_a_model_that_fills_nothing_in_refuses_a_suffix(runner: GenerateRunner):
    [error] = runner.prepare([GenerateJob("m", Prompt("a", suffix="b"))])
    assert isinstance(error, InvalidInput)
    assert error.param == "suffix"
    assert "insert" not in runner.info.abilities


def test_a_token_that_cannot_be_has_openais_number(runner: GenerateRunner):
    assert runner.logprobs_reader.scored(5, float("-inf")).logprob == LEAST_LOGPROB


@pytest.mark.parametrize("tells", [False, True])
def test_an_end_marker_is_told_to_those_who_ask_for_it(runner: GenerateRunner, tells: bool):
    """A job of an earlier version does not: who submitted it would take the marker for text."""
    free = GenerateJob("m", Prompt("Hello!"), max_tokens=2, sampling=GREEDY, logprobs=0)
    end = write(runner, free).logprobs[1].chosen.id
    assert end is not None
    ending = msgspec.structs.replace(
        free, sampling=Sampling(temperature=0, stop_ids=(end,)), end_logprobs=tells
    )
    found = write(runner, ending)
    assert (found.tokens, found.finish_reason) == (2, "stop")
    assert [each.ends for each in found.logprobs] == [False, True][: 1 + tells]
