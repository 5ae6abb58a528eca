"""Which tokens an answer may have, and which end it, as vLLM's fields say."""

import pytest

from jobs.answer_format import ChoiceFormat
from jobs.content import TextPart
from jobs.errors import InvalidInput, JobError
from jobs.generate import Chat, Choice, GenerateJob, Message, Prompt, Sampling
from jobs.tokenize import DetokenizeJob, TokenizeJob, TokenizeResult
from tests.support.answers import answer_to, pieces_of, write
from tests.support.folders import TINY_CHAT
from workers.runners.contract import loaded
from workers.runners.generate.runner import GenerateRunner, ModelFiles
from workers.runners.tokens.tokenizing import answered

QUESTION = Chat((Message("user", (TextPart("What is the capital of France?"),)),))


@pytest.fixture(scope="module")
def runner() -> GenerateRunner:
    files = ModelFiles(TINY_CHAT)
    return loaded(GenerateRunner("tiny-chat", files, slots=4, prefix_cache_bytes=1 << 20))


@pytest.fixture(scope="module")
def plain(runner: GenerateRunner) -> Choice:
    return ask(runner)


def ask(runner: GenerateRunner, max_tokens: int = 24, **sampling: object) -> Choice:
    chosen = Sampling(temperature=0, **sampling)  # pyright: ignore[reportArgumentType]
    return write(runner, GenerateJob("m", QUESTION, sampling=chosen, max_tokens=max_tokens))


def ids(runner: GenerateRunner, text: str) -> list[int]:
    return runner.text_tokenizer.encode(text, add_special_tokens=False).ids


def test_the_models_ends_may_be_passed_over(runner: GenerateRunner, plain: Choice):
    assert (plain.finish_reason, plain.tokens < 24) == ("stop", True)
    longer = ask(runner, ignore_ends=True)
    assert (longer.finish_reason, longer.tokens) == ("length", 24)
    assert longer.text.startswith(plain.text)


def test_an_answer_has_its_least_length(runner: GenerateRunner, plain: Choice):
    longer = ask(runner, min_tokens=plain.tokens + 3)
    assert longer.tokens >= plain.tokens + 3
    assert longer.text.startswith(plain.text)
    assert ask(runner, min_tokens=plain.tokens - 1).text == plain.text


def test_a_token_of_the_caller_ends_an_answer_and_is_no_part_of_it(runner: GenerateRunner, plain: Choice):
    [*_, last] = ids(runner, plain.text)
    short = ask(runner, stop_ids=(last,))
    assert (short.finish_reason, short.tokens < plain.tokens) == ("stop", True)
    assert plain.text.startswith(short.text)
    assert short.text != plain.text
    assert ask(runner, stop_ids=(last,), ignore_ends=True).text == short.text


def test_only_allowed_tokens_are_chosen(runner: GenerateRunner, plain: Choice):
    allowed = tuple(ids(runner, plain.text)[:2])
    found = ask(runner, max_tokens=6, allowed_ids=allowed)
    assert (found.finish_reason, set(ids(runner, found.text)) <= set(allowed)) == ("length", True)


@pytest.mark.parametrize(
    ("sampling", "param"),
    [
        (Sampling(allowed_ids=(1 << 30,)), "allowed_token_ids"),
        (Sampling(stop_ids=(1 << 30,)), "stop_token_ids"),
        (Sampling(stop_ids=(5,), allowed_ids=(5,), min_tokens=1), "allowed_token_ids"),
    ],
)
def test_a_token_that_is_none_is_refused(runner: GenerateRunner, sampling: Sampling, param: str):
    [refused] = runner.prepare([GenerateJob("m", QUESTION, sampling=sampling)])
    assert isinstance(refused, InvalidInput)
    assert refused.param == param


@pytest.mark.parametrize(
    ("sampling", "param"),
    [
        (Sampling(ignore_ends=True), "ignore_eos"),
        (Sampling(min_tokens=2), "min_tokens"),
        (Sampling(allowed_ids=(5,)), "allowed_token_ids"),
    ],
)
def test_an_answer_in_a_format_has_the_formats_tokens(runner: GenerateRunner, sampling: Sampling, param: str):
    held = GenerateJob("m", QUESTION, sampling=sampling, format=ChoiceFormat(("yes", "no")))
    [refused] = runner.prepare([held])
    assert isinstance(refused, JobError)
    assert refused.param == param


def test_the_tokenizer_tells_what_the_model_reads(runner: GenerateRunner):
    found = answered(runner, TokenizeJob("m", "generate", chat=QUESTION, detailed=True))
    assert isinstance(found, TokenizeResult)
    [text] = found.texts
    answer = answer_to(runner, GenerateJob("m", QUESTION))
    read = memoryview(text.ids).cast("I").tolist()
    assert read == answer.ids
    assert answered(runner, DetokenizeJob("m", "generate", (tuple(read),))).texts == (  # pyright: ignore
        runner.text_tokenizer.decode(read, skip_special_tokens=False),
    )
    open_turn = Chat(QUESTION.messages, generation_prompt=False)
    shorter = answered(runner, TokenizeJob("m", "generate", chat=open_turn))
    assert isinstance(shorter, TokenizeResult)
    assert read[: len(shorter.texts[0].ids) // 4] == memoryview(shorter.texts[0].ids).cast("I").tolist()
    assert len(shorter.texts[0].ids) < len(text.ids)


def test_a_prompt_is_read_without_special_tokens(runner: GenerateRunner):
    prompts = [Prompt("France"), Prompt("France", special_tokens=False)]
    framed, bare = (answer_to(runner, GenerateJob("m", prompt)) for prompt in prompts)
    assert bare.ids == ids(runner, "France")
    assert framed.ids == runner.text_tokenizer.encode("France").ids


def test_ids_of_prompt_and_answer_are_told(runner: GenerateRunner, plain: Choice):
    job = GenerateJob("m", QUESTION, sampling=Sampling(temperature=0), max_tokens=24, return_ids=True)
    answer = answer_to(runner, job)
    pieces_of(runner, answer)
    result = runner.assemble(job, [answer], [answer.transcript.choice_so_far()])
    assert (list(result.prompt_ids), len(result.choices[0].ids)) == (answer.ids, plain.tokens)
    assert runner.text_tokenizer.decode(list(result.choices[0].ids)).strip() == plain.text
