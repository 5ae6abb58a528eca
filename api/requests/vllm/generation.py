"""vLLM's fields of chats and completions: those that are built, those that are refused, and those without effect."""

from typing import Annotated, Any

import msgspec

from api.requests.answer_format import FormatRequest
from api.requests.generation import Count, sampling
from api.requests.inputs import TokenId
from api.requests.parameters import NoEffect, Refused
from api.requests.vllm.refusals import CacheSalt, MediaIoKwargs, MmProcessorKwargs, Priority, RequestId
from jobs.errors import InvalidInput
from jobs.generate import Sampling

TokenIds = Annotated[tuple[TokenId, ...], msgspec.Meta(max_length=65_536)]

_BEAMS = "there is no beam search. Leave it out, or ask for several answers with n."


class GenerationFields(FormatRequest, frozen=True, kw_only=True):
    """Beyond OpenAI's. ignore_eos: the model's end tokens do not end an answer. min_tokens: before so many tokens none
    that ends it is chosen. stop_token_ids: end it, too. allowed_token_ids: no others are chosen. prompt_logprobs: how
    many alternatives to tell for each token of the prompt, besides itself.
    """

    ignore_eos: bool | None = None
    min_tokens: Count | None = None
    stop_token_ids: TokenIds | None = None
    allowed_token_ids: TokenIds | None = None
    add_special_tokens: bool | None = None
    return_token_ids: bool | None = None
    prompt_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    use_beam_search: Annotated[Any, Refused(_BEAMS)] = None
    length_penalty: Annotated[Any, Refused(_BEAMS, unless=(None, 1))] = None
    bad_words: Annotated[Any, Refused("texts cannot be ruled out. Rule out tokens with logit_bias.")] = None
    include_stop_str_in_output: Annotated[Any, Refused("a stop text is no part of an answer.")] = None
    logprob_token_ids: Annotated[
        Any, Refused("whose probabilities are told cannot be chosen. Send top_logprobs.", unless=(None,))
    ] = None
    return_tokens_as_token_ids: Annotated[Any, Refused("logprobs name tokens by their texts and bytes.")] = (
        None
    )
    thinking_token_budget: Annotated[
        Any, Refused("thoughts have no bound of their own. Send max_tokens.", unless=(None, -1))
    ] = None
    repetition_detection: Annotated[
        Any, Refused("an answer that repeats itself is not ended. Send repetition_penalty.")
    ] = None
    watermarking: Annotated[Any, Refused("answers have no watermark.")] = None
    prompt_embeds: Annotated[Any, Refused("prompts are texts or token ids.")] = None
    kv_transfer_params: Annotated[Any, Refused("states of prompts are not moved between servers.")] = None
    ec_transfer_params: Annotated[Any, Refused("states of images are not moved between servers.")] = None
    vllm_xargs: Annotated[Any, Refused("they are of extensions of vLLM, which are not here.")] = None
    routed_experts_prompt_start: Annotated[
        Any, Refused("which experts were chosen is not told.", unless=(None, 0))
    ] = None
    mm_processor_kwargs: MmProcessorKwargs = None
    media_io_kwargs: MediaIoKwargs = None
    cache_salt: CacheSalt = None
    priority: Priority = None
    request_id: RequestId = None
    session_id: Annotated[Any, NoEffect("no answer depends on who asks")] = None
    stream_interval: Annotated[Any, NoEffect("tokens are sent as they come")] = None
    spaces_between_special_tokens: Annotated[
        Any, NoEffect("vLLM heeds it for slow tokenizers only, which are not used here")
    ] = None
    truncation_side: Annotated[Any, NoEffect("no prompt is cut")] = None
    return_token_offsets: Annotated[Any, NoEffect("vLLM heeds it at its render endpoints only")] = None
    return_mm_kwargs: Annotated[Any, NoEffect("vLLM heeds it at its render endpoints only")] = None


def vllm_sampling(asked: GenerationFields, stops: object, limit: int | None) -> Sampling:
    """The sampling that a request asks for. stops: its stop texts. limit: its tokens at most. Raises InvalidInput."""
    if asked.min_tokens and stops:
        raise InvalidInput(
            "min_tokens: a stop text may end an answer before. Send stop_token_ids, or leave one of them out.",
            param="min_tokens",
        )
    if asked.min_tokens and limit is not None and asked.min_tokens > limit:
        raise InvalidInput(
            f"min_tokens must be at most max_tokens, {limit}, not {asked.min_tokens}.", param="min_tokens"
        )
    if asked.allowed_token_ids == ():
        raise InvalidInput("allowed_token_ids is empty: an answer has tokens.", param="allowed_token_ids")
    return msgspec.structs.replace(
        sampling(asked),
        allowed_ids=asked.allowed_token_ids or (),
        stop_ids=asked.stop_token_ids or (),
        ignore_ends=bool(asked.ignore_eos),
        min_tokens=asked.min_tokens or 0,
    )


def check_told(asked: GenerationFields, stream: bool | None) -> None:
    """Raises InvalidInput for what a stream does not tell."""
    if stream and asked.prompt_logprobs is not None:
        raise InvalidInput("prompt_logprobs are not told in a stream.", param="prompt_logprobs")
