"""What bodies of text generation share in all dialects: sampling, stop texts, variables of the chat template."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec

from api.requests.inputs import TokenId
from api.requests.tools import json_text
from jobs.errors import InvalidInput
from jobs.generate import Sampling

T = TypeVar("T")

Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Repetition = Annotated[float, msgspec.Meta(gt=0, le=10)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
TopK = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
"""-1, as 0: all tokens."""
MaxTokens = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
TokenLimit = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
"""-1: none, and 0 is refused, but for completions."""
Answers = Annotated[int, msgspec.Meta(ge=1, le=16)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Bias = Annotated[float, msgspec.Meta(ge=-100, le=100)]
LogitBias = Annotated[dict[TokenId, Bias], msgspec.Meta(max_length=1024)]
Stop = str | tuple[str, ...]

MAX_STOPS = 16

# What a job has where a request gives nothing.
_DEFAULT = Sampling()

# Variables that the renderer sets, and those that would make it render something else than the messages.
_RESERVED = frozenset(
    {
        "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "max_length", "messages",
        "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors", "tokenize",
        "tokenizer_kwargs", "tools", "truncation",
    }
)  # fmt: skip


class SamplingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of OpenAI's generation bodies on sampling, and those that its clients send as extra_body."""

    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    seed: Seed | None = None
    repetition_penalty: Repetition | None = None
    repetition_context_size: Count | None = None
    presence_penalty: Penalty | None = None
    presence_context_size: Count | None = None
    frequency_penalty: Penalty | None = None
    frequency_context_size: Count | None = None
    logit_bias: LogitBias | None = None


def sampling(asked: SamplingRequest) -> Sampling:
    """The sampling that a request asks for; what it leaves out is as in Sampling's defaults."""
    # A top_p of 0 leaves the most probable token alone.
    greedy = asked.top_p == 0
    return Sampling(
        temperature=0.0 if greedy else _or(asked.temperature, _DEFAULT.temperature),
        top_p=_DEFAULT.top_p if greedy else _or(asked.top_p, _DEFAULT.top_p),
        top_k=max(0, _or(asked.top_k, _DEFAULT.top_k)),
        min_p=_or(asked.min_p, _DEFAULT.min_p),
        seed=asked.seed,
        repetition_penalty=_or(asked.repetition_penalty, _DEFAULT.repetition_penalty),
        repetition_context=_or(asked.repetition_context_size, _DEFAULT.repetition_context),
        presence_penalty=_or(asked.presence_penalty, _DEFAULT.presence_penalty),
        presence_context=_or(asked.presence_context_size, _DEFAULT.presence_context),
        frequency_penalty=_or(asked.frequency_penalty, _DEFAULT.frequency_penalty),
        frequency_context=_or(asked.frequency_context_size, _DEFAULT.frequency_context),
        logit_bias=asked.logit_bias or {},
    )


def max_tokens(given: int | None, field: str, default: int | None = None) -> int | None:
    """A TokenLimit as a job has it; None for none. default: where nothing is given. Raises InvalidInput for 0."""
    if given == 0:
        raise InvalidInput(f"{field}: an answer has 1 token or more; -1 sets no limit.", param=field)
    return default if given is None else None if given < 0 else given


def stops(given: Stop | None, field: str = "stop") -> tuple[str, ...]:
    """The texts that end an answer. Raises InvalidInput naming the field where one is empty or there are too many."""
    if given is None:
        return ()
    texts = (given,) if isinstance(given, str) else given
    if len(texts) > MAX_STOPS:
        raise InvalidInput(f"{field} has {len(texts)} texts; at most {MAX_STOPS} are allowed.", param=field)
    if not all(texts):
        raise InvalidInput(f"{field} holds an empty text, which would end every answer at once.", param=field)
    return texts


def template_options(given: Mapping[str, object] | None, field: str, **shorthands: object) -> str:
    """A JSON object, as text. shorthands: variables that have a field of their own; None where it was not given.

    Raises InvalidInput, naming the field, for a variable that a caller must not set.
    """
    taken = sorted(_RESERVED & set(given or ()))
    if taken:
        raise InvalidInput(f"{field}: {', '.join(taken)} cannot be set.", param=field)
    given_shorthands = {name: value for name, value in shorthands.items() if value is not None}
    options = {**(given or {}), **given_shorthands}
    return json_text(options, field) if options else "{}"


def _or(asked: T | None, default: T) -> T:
    return default if asked is None else asked
