"""OpenAI's text completion, whole."""

import itertools
from collections.abc import Sequence
from typing import Literal

import msgspec

from api.replies.logprobs import CompletionLogprobs, completion_logprobs
from api.replies.usage import Tally, Usage
from jobs.errors import InternalError
from jobs.generate import Choice, FinishReason, GenerateResult
from jobs.job import Result

ID_PREFIX = "cmpl-"
"""A completion's id is this and the job's id."""


class CompletionChoice(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason


class CompletionReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


def encode_completion(results: Sequence[Result], *, job_id: str, model: str, created: int) -> bytes:
    """The reply as JSON bytes; choices are numbered through all prompts, in the prompts' order.

    job_id: of the first prompt. created: seconds since the epoch. Raises InternalError for another task's result.
    """
    tally = Tally()
    answers: list[Choice] = []
    for index, result in enumerate(results):
        if not isinstance(result, GenerateResult):
            raise InternalError
        tally.add_result(index, result)
        answers += result.choices
    reply = CompletionReply(
        id=ID_PREFIX + job_id,
        created=created,
        model=model,
        choices=list(itertools.starmap(_choice, enumerate(answers))),
        usage=tally.usage(),
    )
    return msgspec.json.encode(reply)


def _choice(index: int, choice: Choice) -> CompletionChoice:
    return CompletionChoice(
        text=choice.text,
        index=index,
        logprobs=completion_logprobs(choice.logprobs)[0] if choice.logprobs else None,
        finish_reason=choice.finish_reason,
    )
