"""Answers that are written together are those that are written alone, whoever joins and leaves."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from llguidance import LLTokenizer

from jobs.answer_format import JsonFormat
from jobs.content import TextPart
from jobs.errors import JobError
from jobs.generate import Chat, Choice, GenerateJob, GenerateResult, Message, Prompt, Sampling
from tests.support.answers import answer_to
from tests.support.folders import TINY_CHAT
from workers.runners.contract import loaded
from workers.runners.generate.contract import decoder_of
from workers.runners.generate.runner import GenerateRunner, ModelFiles
from workers.runners.generate.structured_output import grammar

QUESTIONS = (
    "What is the capital of France?",
    "What is the capital of Norway?",
    "Tell me a story.",
    "Count from 1 to 100.",
    "What is 7 plus 5?",
    "Hello!",
)
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def runner() -> GenerateRunner:
    files = ModelFiles(TINY_CHAT)
    return loaded(GenerateRunner("tiny-chat", files, slots=16, prefix_cache_bytes=1 << 24))


def ask(question: str, *, filler: int = 0, max_tokens: int = 60, sampling: Sampling = GREEDY, **more: object):
    """filler: words of a system message before it, so that prompts have many lengths."""
    system = Message("system", (TextPart("You are kind. " * filler),)) if filler else None
    messages = tuple(each for each in (system, Message("user", (TextPart(question),))) if each)
    return GenerateJob(
        model="tiny-chat",
        prompt=Chat(messages),
        max_tokens=max_tokens,
        sampling=sampling,
        **more,  # pyright: ignore[reportArgumentType]
    )


def write_alone(runner: GenerateRunner, job: GenerateJob) -> list[int]:
    [tokens] = write(runner, [job], iter([1]))
    return tokens


def write(runner: GenerateRunner, jobs: Sequence[GenerateJob], joining: Iterator[int]) -> list[list[int]]:
    """The tokens of each job. joining: how many begin before each next step."""
    decoder = decoder_of(runner)
    waiting = [answer_to(runner, job) for job in jobs]
    order: list[int] = []
    tokens: dict[int, list[int]] = {}
    while waiting or len(decoder):
        for _ in range(min(next(joining, 1), len(waiting), 16 - len(decoder))):
            uid = decoder.insert(waiting.pop(0))
            order.append(uid)
            tokens[uid] = []
        for new in decoder.step(0.02):
            tokens[new.uid].append(new.token)
    return [tokens[uid] for uid in order]


def test_joining_and_leaving_at_random_changes_no_answer(runner: GenerateRunner):
    chance = random.Random(3)
    jobs = [
        ask(
            chance.choice(QUESTIONS),
            filler=chance.choice((0, 0, 3, 40, 150)),
            max_tokens=chance.randrange(1, 80),
        )
        for _ in range(30)
    ]
    alone = [write_alone(runner, job) for job in jobs]
    decoder_of(runner).restart()
    together = write(runner, jobs, iter(lambda: chance.randrange(4), None))
    assert together == alone


def test_a_seed_gives_the_same_answer_in_any_company(runner: GenerateRunner):
    seeded = ask("Tell me a story.", sampling=Sampling(seed=11, temperature=1.5))
    other = ask("Count from 1 to 100.", sampling=Sampling(temperature=1.0))
    alone = write_alone(runner, seeded)
    assert write(runner, [other, seeded, other], iter([2, 1]))[1] == alone
    assert write_alone(runner, ask("Tell me a story.", sampling=Sampling(seed=12, temperature=1.5))) != alone


def test_each_answer_has_its_own_rules(runner: GenerateRunner):
    plain = ask("What is the capital of France?")
    first = write_alone(runner, plain)[0]
    banned = ask(
        "What is the capital of France?", sampling=Sampling(temperature=0, logit_bias={first: -100.0})
    )
    found = write(runner, [plain, banned, plain], iter([3]))
    assert found[0] == found[2]
    assert found[1][0] != first


def test_an_answer_goes_on_where_another_worker_stopped(runner: GenerateRunner):
    job = ask("Tell me a story.", max_tokens=80)
    whole = write_alone(runner, job)
    for cut in (1, 7, 40, 79):
        answer = answer_to(runner, job)
        answer.generated = whole[:cut]
        answer.rewind()
        uid = decoder_of(runner).insert(answer)
        rest: list[int] = []
        while len(decoder_of(runner)):
            rest += [new.token for new in decoder_of(runner).step(0.02) if new.uid == uid]
        assert whole[:cut] + rest == whole


def test_a_prompt_that_was_read_before_is_not_computed_again(runner: GenerateRunner):
    job = ask("Hello!", filler=60, max_tokens=4)
    first, second = answer_to(runner, job), answer_to(runner, job)
    decoder_of(runner).restart()
    tokens: list[list[int]] = []
    for answer in (first, second):
        decoder_of(runner).insert(answer)
        tokens.append([])
        while len(decoder_of(runner)):
            tokens[-1] += [new.token for new in decoder_of(runner).step(0.02)]
    assert tokens[0] == tokens[1]
    assert second.cached_tokens == second.prompt_tokens - 1


def test_of_several_answers_the_slowest_ones_times_are_told(runner: GenerateRunner):
    job = ask("Hello!", n=2)
    [answers] = runner.prepare([job])
    assert not isinstance(answers, JobError | GenerateResult)
    for answer, times in zip(answers, ((10.0, 13.0, 14.0), (10.0, 11.0, 16.0)), strict=True):
        begun_at, first_at, last_at = times
        answer.note_begun(begun_at)
        answer.note_token(first_at)
        answer.note_token(last_at)
    result = runner.assemble(job, answers, [Choice("", "stop", 2)] * 2)
    assert (result.prompt_s, result.generate_s) == (3.0, 5.0)


def test_an_answer_does_not_keep_its_prompts_text(runner: GenerateRunner):
    sampling = Sampling(temperature=0.5, seed=3)
    [answers] = runner.prepare([ask("Tell me a story.", filler=100, sampling=sampling, n=2, logprobs=1)])
    assert isinstance(answers, list)
    for answer in answers:
        assert answer.job.prompt == Prompt("")
        assert (answer.job.sampling, answer.job.logprobs) == (sampling, 1)


def test_removing_an_answer_leaves_the_others_alone(runner: GenerateRunner):
    expected = write_alone(runner, ask("Count from 1 to 100."))
    decoder = decoder_of(runner)
    kept, gone = (
        decoder.insert(answer_to(runner, ask(question))) for question in (QUESTIONS[3], QUESTIONS[2])
    )
    tokens: list[int] = []
    for step in range(200):
        tokens += [new.token for new in decoder.step(0.02) if new.uid == kept]
        if step == 10:
            decoder.remove([gone, 12345])
    assert tokens == expected
    assert len(decoder) == 0


FORMAT = JsonFormat(json.dumps({"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}))


def test_one_grammar_serves_all_answers_to_a_job(runner: GenerateRunner):
    job = ask("Hello!", n=4, format=FORMAT, sampling=Sampling(temperature=1, seed=1))
    [answers] = runner.prepare([job])
    assert not isinstance(answers, JobError | GenerateResult)
    assert len(answers) == 4
    assert answers[0].constraint is not None
    assert {id(answer.constraint) for answer in answers} == {id(answers[0].constraint)}
    decoder = decoder_of(runner)
    by_uid = {decoder.insert(answer): answer for answer in answers}
    while len(decoder):
        for new in decoder.step(0.02):
            by_uid[new.uid].transcript.add(new.token, new.finish)
    for answer in answers:
        answer.transcript.take()
        assert json.loads(answer.transcript.choice_so_far().text)["a"] in (1, 2)


def test_no_request_waits_until_the_tokenizer_is_read_for_grammars(monkeypatch: pytest.MonkeyPatch):
    read: list[int] = []

    def counted(*arguments: Any, **more: Any) -> LLTokenizer:
        read.append(1)
        return LLTokenizer(*arguments, **more)

    monkeypatch.setattr(grammar, "LLTokenizer", counted)
    runner = GenerateRunner("tiny-chat", ModelFiles(TINY_CHAT), slots=2, prefix_cache_bytes=0)
    assert len(read) == 0
    for _ in range(2):
        assert loaded(runner).decoder is not None
        assert len(read) == 1
        [answers] = runner.prepare([ask("Hello!", format=FORMAT)])
        assert not isinstance(answers, JobError)
        assert len(read) == 1
        runner.unload()


@pytest.mark.parametrize("error", [ValueError("no such decoder"), RuntimeError("of another kind")])
def test_a_model_whose_answers_cannot_be_constrained_serves_the_others(
    monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def refuse(*arguments: Any, **more: Any) -> LLTokenizer:
        raise error

    monkeypatch.setattr(grammar, "LLTokenizer", refuse)
    files = ModelFiles(TINY_CHAT)
    runner = loaded(GenerateRunner("tiny-chat", files, slots=2, prefix_cache_bytes=0))
    [plain] = runner.prepare([ask("Hello!")])
    assert not isinstance(plain, JobError)
    assert len(write_alone(runner, ask("Hello!"))) > 1
