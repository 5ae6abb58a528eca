"""What MemoryQueue answers to tokenising: a token for each word of WORDS, with a mark at both ends of a text."""

import re
from array import array

from jobs.content import TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat
from jobs.tokenize import (
    DetokenizeJob,
    DetokenizeResult,
    Token,
    TokenizedText,
    TokenizeJob,
    TokenizeResult,
)

WORDS = ("[CLS]", "[SEP]", "a", "red", "fox", "é", "<user>", "<assistant>")
CLS, SEP, A, RED, FOX, ACCENT, USER, ASSISTANT = range(len(WORDS))
OTHER = 100
"""From here on: other words, by their length."""
HALVES = b"\xc3"
"""The token for "é" is said to be the first half of it."""


def memory_tokens(job: TokenizeJob | DetokenizeJob) -> TokenizeResult | DetokenizeResult:
    """Raises InvalidInput for ids that are no words."""
    if isinstance(job, DetokenizeJob):
        return DetokenizeResult(tuple(_text(ids, job.skip_special_tokens) for ids in job.ids))
    if job.chat is not None:
        return TokenizeResult((_tokenized(_written(job.chat), job.chat.special_tokens, job.detailed),))
    return TokenizeResult(tuple(_tokenized(text, job.add_special_tokens, job.detailed) for text in job.texts))


def _text(ids: tuple[int, ...], skip: bool) -> str:
    unknown = [token for token in ids if len(WORDS) <= token < OTHER]
    if unknown:
        raise InvalidInput(f"The token id {unknown[0]} is not in the model's vocabulary.", param="tokens")
    words = {token: "x" * (token - OTHER) for token in ids} | dict(enumerate(WORDS))
    return " ".join(words[token] for token in ids if not (skip and token in (CLS, SEP)))


def _written(chat: Chat) -> str:
    turns = [
        " ".join([f"<{turn.role}>", *(part.text for part in turn.content if isinstance(part, TextPart))])
        for turn in chat.messages
    ]
    begins = chat.generation_prompt and not chat.continue_final
    return " ".join([*turns, *(["<assistant>"] if begins else [])])


def _tokenized(text: str, special: bool, detailed: bool) -> TokenizedText:
    words = list(re.finditer(r"\S+", text))
    tokens = [Token(each[0], _bytes(each[0]), False, each.start(), each.end()) for each in words]
    if special:
        tokens = [Token("[CLS]", b"[CLS]", True), *tokens, Token("[SEP]", b"[SEP]", True)]
    ids = array("I", [_id(token.name) for token in tokens]).tobytes()
    return TokenizedText(ids, tuple(tokens) if detailed else ())


def _id(word: str) -> int:
    return WORDS.index(word) if word in WORDS else OTHER + len(word)


def _bytes(word: str) -> bytes:
    return HALVES if word == "é" else word.encode()
