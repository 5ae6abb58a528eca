"""What TokenizeJob and DetokenizeJob ask of a model: its tokenizer answers, and nothing runs on the device."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tokenizers import Encoding, Tokenizer

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
from workers.runners.tokens.token_bytes import TokenBytes

MAX_CHARACTERS = 262_144
"""Of a job's texts, or of its chat. Python's lock is held while their ids become objects: some 50 ms."""

MAX_DETAILED_CHARACTERS = 32_768
"""The same where each token is told, which takes longer, here and where the reply is written."""

MAX_IDS = 262_144
"""Of all lists of a job that are turned into texts."""

MAX_MADE_CHARACTERS = 4_194_304
"""Of their texts: a token may stand for hundreds of characters."""

SLICE_CHARACTERS = 65_536
"""Of short texts that are tokenised in one call, on all cores."""


@runtime_checkable
class HasTokenizer(Protocol):
    """What has a tokenizer of its own: a runner, and what reads texts for it."""

    @property
    def text_tokenizer(self) -> Tokenizer:
        """As the model reads texts by it. Nobody changes it."""
        ...


@runtime_checkable
class ReadsChats(Protocol):
    """A runner whose model has a chat template."""

    def chat_ids(self, chat: Chat) -> Sequence[int]:
        """The tokens that the model reads of a chat, images included. Raises InvalidInput."""
        ...


def answered(runner: Any, job: TokenizeJob | DetokenizeJob) -> TokenizeResult | DetokenizeResult:
    """What the runner's tokenizer says. Raises InvalidInput."""
    if not isinstance(runner, HasTokenizer):
        raise InvalidInput("This model has no tokenizer that can be asked.", param="model")
    tokenizer = runner.text_tokenizer
    if isinstance(job, DetokenizeJob):
        return _detokenized(tokenizer, job)
    _check_size(job)
    if job.chat is None:
        encodings = _encoded(tokenizer, job.texts, add_special_tokens=job.add_special_tokens)
        describe = _Describe(tokenizer) if job.detailed else None
        return TokenizeResult(
            tuple(TokenizedText(_packed(each.ids), describe(each) if describe else ()) for each in encodings)
        )
    if not isinstance(runner, ReadsChats):
        raise InvalidInput("This model reads no chats: send a text.", param="messages")
    ids = runner.chat_ids(job.chat)
    tokens = tuple(map(_Describe(tokenizer).bare, ids)) if job.detailed else ()
    return TokenizeResult((TokenizedText(_packed(ids), tokens),))


def _check_size(job: TokenizeJob) -> None:
    """Raises InvalidInput for more than is to be tokenised in one go."""
    limit = MAX_DETAILED_CHARACTERS if job.detailed else MAX_CHARACTERS
    told = " where each token is told" if job.detailed else ""
    if job.chat is not None and job.chat.characters > limit:
        raise InvalidInput(
            f"The messages have {job.chat.characters:,} characters with their tools, and {limit:,} may be tokenised in "
            f"one request{told}. Shorten them.",
            param="messages",
        )
    size = sum(map(len, job.texts))
    if size > limit:
        raise InvalidInput(
            f"The texts have {size:,} characters, and {limit:,} may be tokenised in one request{told}. "
            "Send them in several.",
            param="input",
        )


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], *, add_special_tokens: bool) -> Iterator[Encoding]:
    """A text after the other, so that what is not needed any more is freed; short ones together."""
    start = characters = 0
    for end, text in enumerate(texts):
        characters += len(text)
        if characters > SLICE_CHARACTERS and end > start:
            yield from tokenizer.encode_batch(list(texts[start:end]), add_special_tokens=add_special_tokens)
            start, characters = end, len(text)
    if texts:
        yield from tokenizer.encode_batch(list(texts[start:]), add_special_tokens=add_special_tokens)


def _packed(ids: Sequence[int]) -> bytes:
    return np.asarray(ids, dtype="<u4").tobytes()


class _Describe:
    """Tells of each token of a text what it is."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._bytes = TokenBytes(tokenizer)

    def __call__(self, encoding: Encoding) -> tuple[Token, ...]:
        parts = zip(encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True)
        return tuple(
            Token(name, self._bytes.of_name(name), bool(added), begin, end)
            for name, added, (begin, end) in parts
        )

    def bare(self, token: int) -> Token:
        """Of a text that is not known."""
        name = self._tokenizer.id_to_token(token) or ""
        return Token(name, self._bytes.of_name(name))


def _detokenized(tokenizer: Tokenizer, job: DetokenizeJob) -> DetokenizeResult:
    count = sum(map(len, job.ids))
    if count > MAX_IDS:
        raise InvalidInput(
            f"{count:,} token ids, and {MAX_IDS:,} may be turned into text in one request. Send them in several.",
            param="tokens",
        )
    size = sum(_name_length(tokenizer, token) * n for token, n in _counted(job.ids).items())
    if size > MAX_MADE_CHARACTERS:
        raise InvalidInput(
            f"The tokens stand for {size:,} characters, and {MAX_MADE_CHARACTERS:,} may be made in one request. "
            "Send them in several.",
            param="tokens",
        )
    texts = tokenizer.decode_batch(
        [list(ids) for ids in job.ids], skip_special_tokens=job.skip_special_tokens
    )
    return DetokenizeResult(tuple(texts))


def _counted(lists: Sequence[Sequence[int]]) -> Counter[int]:
    found = Counter[int]()
    for ids in lists:
        found.update(ids)
    return found


def _name_length(tokenizer: Tokenizer, token: int) -> int:
    """Of the token as the vocabulary has it: its text is no longer, but for a space. Raises InvalidInput."""
    name = tokenizer.id_to_token(token)
    if name is None:
        known = tokenizer.get_vocab_size(with_added_tokens=True)
        raise InvalidInput(
            f"The token id {token} is not in the model's vocabulary of {known} tokens.", param="tokens"
        )
    return len(name)
