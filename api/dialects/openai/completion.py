"""OpenAI's text completion: the body as jobs, one per prompt, and the whole reply."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.openai.stream_options import StreamOptions, check_stream_options
from api.dialects.openai.unbuilt import WHO_ASKS
from api.replies.fingerprint import system_fingerprint
from api.replies.logprobs import CompletionLogprobs, LogprobsWriter, PromptLogprobs, prompt_logprobs
from api.replies.usage import Tally, Usage
from api.requests.answer_format import answer_format
from api.requests.generation import Answers, Stop, TokenLimit, max_tokens, stops
from api.requests.inputs import Inputs, split_inputs
from api.requests.parameters import NoEffect
from api.requests.truncation import NEVER_CUT
from api.requests.vllm.generation import GenerationFields, check_told, vllm_sampling
from jobs.errors import InternalError, InvalidInput
from jobs.generate import Choice, FinishReason, GenerateJob, GenerateResult, Prompt
from jobs.job import Result

DEFAULT_MAX_TOKENS = 16
"""OpenAI's own."""

COMPLETION_PREFIX = "cmpl-"
"""A completion's id is this and the job's id."""


class CompletionRequest(GenerationFields, frozen=True, kw_only=True):
    """The body of POST /v1/completions. Fields it does not name are ignored, as OpenAI's clients may send any.

    prompt: null is an empty one, as a document begins. max_tokens: 0 is an empty answer. logprobs: how many
    alternatives to tell for each token, besides itself; with echo also for the prompt's. skip_special_tokens: unless it
    is false, the model's special tokens are no part of the answer's text.
    """

    model: str = ""
    prompt: Inputs | None
    max_tokens: TokenLimit | None = None
    n: Answers | None = None
    best_of: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: Stop | None = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    skip_special_tokens: bool | None = None
    truncate_prompt_tokens: Annotated[Any, NEVER_CUT] = None
    user: Annotated[Any, WHO_ASKS] = None
    second_logit_bias: Annotated[Any, NoEffect("the AI SDK writes logit_bias so, too")] = msgspec.field(
        default=None, name="logitBias"
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None


def completion_jobs(asked: CompletionRequest, max_prompts: int) -> list[GenerateJob]:
    """One job per prompt, in the prompts' order. Raises InvalidInput naming the field."""
    _refuse_unsupported(asked)
    prompts = ("",) if asked.prompt is None else split_inputs(asked.prompt, max_prompts, "prompt")
    if asked.suffix and not all(isinstance(prompt, str) for prompt in prompts):
        raise InvalidInput("suffix needs prompts that are texts.", param="suffix")
    stop, form = stops(asked.stop), answer_format(asked)
    limit = 0 if asked.max_tokens == 0 else max_tokens(asked.max_tokens, "max_tokens", DEFAULT_MAX_TOKENS)
    shaping, special = vllm_sampling(asked, stop, limit), asked.add_special_tokens is not False
    return [
        GenerateJob(
            model=asked.model,
            prompt=Prompt(prompt, suffix=asked.suffix or None, special_tokens=special),
            n=asked.n or 1,
            sampling=shaping,
            max_tokens=limit,
            stop=stop,
            logprobs=asked.logprobs,
            end_logprobs=asked.logprobs is not None,
            prompt_logprobs=asked.logprobs if asked.echo else asked.prompt_logprobs,
            return_ids=bool(asked.return_token_ids),
            format=form,
            stream=bool(asked.stream),
            skip_special_tokens=asked.skip_special_tokens is not False,
            echo=bool(asked.echo),
        )
        for prompt in prompts
    ]


def _refuse_unsupported(asked: CompletionRequest) -> None:
    check_stream_options(asked.stream_options, asked.stream)
    check_told(asked, asked.stream)
    if asked.prompt_logprobs is not None and asked.echo:
        raise InvalidInput(
            "prompt_logprobs: not together with echo, whose logprobs tell the same.", param="prompt_logprobs"
        )
    if asked.suffix and asked.echo:
        raise InvalidInput("suffix: not together with echo.", param="suffix")
    if asked.best_of is not None and asked.best_of != (asked.n or 1):
        raise InvalidInput("best_of must equal n: every answer is returned.", param="best_of")


class CompletionChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The last three are vLLM's, where they are asked for."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason
    token_ids: tuple[int, ...] | UnsetType = UNSET
    prompt_token_ids: tuple[int, ...] | UnsetType = UNSET
    prompt_logprobs: PromptLogprobs | UnsetType = UNSET


class CompletionReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage
    system_fingerprint: str | None = None


def encode_completion(
    results: Sequence[Result], *, job_id: str, model: str, created: int, echo: bool = False
) -> bytes:
    """The reply as JSON bytes; choices are numbered through all prompts, in the prompts' order.

    job_id: of the first prompt. created: seconds since the epoch. echo: the answers begin with the prompts. Raises
    InternalError for another task's result.
    """
    tally = Tally()
    answers: list[CompletionChoice] = []
    digest = ""
    for index, result in enumerate(results):
        if not isinstance(result, GenerateResult):
            raise InternalError
        tally.add_result(index, result)
        answers += [
            _choice(number, choice, result.prompt_ids, echo=echo)
            for number, choice in enumerate(result.choices, len(answers))
        ]
        digest = digest or result.digest
    reply = CompletionReply(
        id=COMPLETION_PREFIX + job_id,
        created=created,
        model=model,
        choices=answers,
        usage=tally.usage(),
        system_fingerprint=system_fingerprint(digest),
    )
    return msgspec.json.encode(reply)


def _choice(index: int, choice: Choice, prompt_ids: tuple[int, ...], *, echo: bool) -> CompletionChoice:
    told = choice.prompt_logprobs
    return CompletionChoice(
        text=choice.text,
        index=index,
        logprobs=LogprobsWriter().write(told if echo else (), choice.logprobs, choice.text),
        finish_reason=choice.finish_reason,
        token_ids=choice.ids or UNSET,
        prompt_token_ids=prompt_ids or UNSET,
        prompt_logprobs=UNSET if echo or not told else prompt_logprobs(told),
    )
