"""Probabilities of tokens, in the two shapes that OpenAI gives them."""

import codecs
from collections.abc import Iterable, Sequence

import msgspec

from jobs.generate import LEAST_LOGPROB, PromptToken, ScoredToken, TokenLogprobs


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
    """The shape of text completions. text_offset: where each token begins in the choice's text, in characters.

    The prompt's first token, where it is told, follows nothing: its token_logprobs and top_logprobs are null.
    top_logprobs always have the token itself, so that they may have one more than was asked for.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class PromptLogprob(msgspec.Struct, frozen=True):
    """Of a token in the prompt, as vLLM writes it. rank: 1 of the most probable one in its place."""

    logprob: float
    rank: int | None
    decoded_token: str


PromptLogprobs = list[dict[str, PromptLogprob] | None]
"""Of each token of the prompt, by ids: itself, and the most probable ones in its place; null of the first."""


def prompt_logprobs(given: Sequence[PromptToken]) -> PromptLogprobs:
    """In vLLM's shape."""
    return [_placed(each) for each in given]


def chat_logprobs(given: Sequence[TokenLogprobs]) -> ChatLogprobs | None:
    """In the shape of chat completions, which lists no end marker. None where there is no token."""
    listed = [_chosen(each) for each in given if not each.ends]
    return ChatLogprobs(content=listed) if listed else None


class LogprobsWriter:
    """The shape of text completions, for one choice: tokens of its text in their order, perhaps in several parts."""

    def __init__(self) -> None:
        self._characters = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(
        self, prompt: Iterable[PromptToken], answer: Iterable[TokenLogprobs], text: str
    ) -> CompletionLogprobs | None:
        """The next tokens. prompt: those that the choice begins with, where the prompt is put before the answer. text:
        of the choice, from where the prompt begins. None where there is none of either.
        """
        found = CompletionLogprobs([], [], [], [])
        for each in prompt:
            chosen = None if each.logprob is None else ScoredToken(each.text, each.bytes, each.logprob)
            self._add(found, _name(each.text, each.bytes), chosen, each.top)
            self._go_on(each.bytes, hidden=each.hidden, text=text)
        for each in answer:
            self._add(found, _name(each.chosen.text, each.chosen.bytes), each.chosen, each.top)
            self._go_on(each.chosen.bytes, hidden=each.hidden)
        return found if found.tokens else None

    def _add(
        self, found: CompletionLogprobs, name: str, chosen: ScoredToken | None, top: Sequence[ScoredToken]
    ) -> None:
        found.tokens.append(name)
        found.text_offset.append(self._characters)
        found.token_logprobs.append(None if chosen is None else _finite(chosen.logprob))
        if chosen is None:
            found.top_logprobs.append(None)
        else:
            told = {_name(each.text, each.bytes): _finite(each.logprob) for each in top}
            found.top_logprobs.append({**told, name: _finite(chosen.logprob)})

    def _go_on(self, raw: bytes, *, hidden: bool, text: str | None = None) -> None:
        """A character that several tokens make up counts with the last of them. text: what the token may begin with a
        space that is not in. SentencePiece puts one before a text.
        """
        if hidden:
            return
        at, part = self._characters, self._decoder.decode(raw)
        self._characters += len(part)
        if text is not None and part.startswith(" ") and not text.startswith(" ", at):
            self._characters -= text.startswith(part[1:], at)


def _placed(given: PromptToken) -> dict[str, PromptLogprob] | None:
    if given.logprob is None:
        return None
    found = {
        str(each.id): PromptLogprob(_finite(each.logprob), rank, each.text)
        for rank, each in enumerate(given.top, 1)
    }
    return {**found, str(given.id): PromptLogprob(_finite(given.logprob), given.rank, given.text)}


def _chosen(given: TokenLogprobs) -> ChosenLogprob:
    chosen = _token_logprob(given.chosen)
    top = [_token_logprob(each) for each in given.top]
    return ChosenLogprob(chosen.token, chosen.logprob, chosen.bytes, top)


def _token_logprob(given: ScoredToken) -> TokenLogprob:
    return TokenLogprob(given.text, _finite(given.logprob), list(given.bytes))


def _name(text: str, raw: bytes) -> str:
    """As OpenAI names tokens by their bytes where these are no text: else two alternatives might have one name."""
    if text.encode() == raw:
        return text
    return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def _finite(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)
