"""OpenAI's text completion body: read, checked, and turned into jobs, one per prompt."""

from typing import Annotated

import msgspec

from api.dialects.openai.chat import StreamOptions
from api.requests.answer_format import FormatRequest, answer_format
from api.requests.inputs import Inputs, split_inputs
from api.requests.sampling import Answers, MaxTokens, Stop, sampling, stops
from jobs.errors import InvalidInput
from jobs.generate import GenerateJob, Prompt

DEFAULT_MAX_TOKENS = 16
"""OpenAI's own."""


class CompletionRequest(FormatRequest, frozen=True, kw_only=True):
    """The body of POST /v1/completions. Fields it does not name are ignored, as OpenAI's clients may send any.

    logprobs: how many alternatives to tell for each token, besides its own probability. skip_special_tokens: unless it
    is false, the model's special tokens are no part of the answer's text.
    """

    model: str
    prompt: Inputs
    max_tokens: MaxTokens | None = None
    n: Answers | None = None
    best_of: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: Stop | None = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    skip_special_tokens: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


def completion_jobs(asked: CompletionRequest, max_prompts: int) -> list[GenerateJob]:
    """One job per prompt, in the prompts' order. Raises InvalidInput naming the field."""
    _refuse_unsupported(asked)
    prompts = split_inputs(asked.prompt, max_prompts, "prompt")
    shaping, stop, form = sampling(asked), stops(asked.stop), answer_format(asked)
    return [
        GenerateJob(
            model=asked.model,
            prompt=Prompt(prompt),
            n=asked.n or 1,
            sampling=shaping,
            max_tokens=asked.max_tokens or DEFAULT_MAX_TOKENS,
            stop=stop,
            logprobs=asked.logprobs,
            format=form,
            stream=bool(asked.stream),
            skip_special_tokens=asked.skip_special_tokens is not False,
            echo=bool(asked.echo),
        )
        for prompt in prompts
    ]


def _refuse_unsupported(asked: CompletionRequest) -> None:
    if asked.suffix:
        raise InvalidInput("suffix: text is only continued, not filled in.", param="suffix")
    if asked.best_of is not None and asked.best_of != (asked.n or 1):
        raise InvalidInput("best_of must equal n: every answer is returned.", param="best_of")
    if asked.echo and asked.logprobs is not None:
        raise InvalidInput("logprobs are of the answer alone: not together with echo.", param="logprobs")
