"""Probabilities of tokens, in the two shapes that OpenAI gives them."""

from collections.abc import Sequence

import msgspec

from jobs.generate import LEAST_LOGPROB, ScoredToken, TokenLogprobs


class TokenLogprob(msgspec.Struct, frozen=True):
    """bytes: UTF-8, or a part of a character where the token is one."""

    token: str
    logprob: float
    bytes: list[int]


class ChosenLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TokenLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True):
    """The shape of chat completions."""

    content: list[ChosenLogprob]
    refusal: None = None


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """The shape of text completions. text_offset: where each token begins in the choice's text, in characters."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


def chat_logprobs(given: Sequence[TokenLogprobs]) -> ChatLogprobs:
    """In the shape of chat completions."""
    return ChatLogprobs(content=[_chosen(each) for each in given])


def completion_logprobs(given: Sequence[TokenLogprobs], start: int = 0) -> tuple[CompletionLogprobs, int]:
    """start: characters of the choice before the first of these tokens. Also returns that number after the last."""
    offsets: list[int] = []
    for each in given:
        offsets.append(start)
        start += 0 if each.hidden else len(each.chosen.text)
    found = CompletionLogprobs(
        tokens=[_name(each.chosen) for each in given],
        token_logprobs=[_finite(each.chosen.logprob) for each in given],
        top_logprobs=[{_name(token): _finite(token.logprob) for token in each.top} for each in given],
        text_offset=offsets,
    )
    return found, start


def _chosen(given: TokenLogprobs) -> ChosenLogprob:
    chosen = _token_logprob(given.chosen)
    top = [_token_logprob(each) for each in given.top]
    return ChosenLogprob(chosen.token, chosen.logprob, chosen.bytes, top)


def _token_logprob(given: ScoredToken) -> TokenLogprob:
    return TokenLogprob(given.text, _finite(given.logprob), list(given.bytes))


def _name(token: ScoredToken) -> str:
    """As OpenAI names tokens by their bytes where these are no text: else two alternatives might have one name."""
    if token.text.encode() == token.bytes:
        return token.text
    return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)


def _finite(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)
