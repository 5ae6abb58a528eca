"""A model's own tokenizer: texts and token ids in, what the model reads out. Of a long text only a part is read."""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, normalizers

from jobs.embed import Truncate
from jobs.errors import InputTooLong, InvalidInput
from workers.runners.tokens.compactor import compactor

Ids = NDArray[np.int32]

Side = Literal["start", "end"]
"""Where the text is cut: "end" keeps its first tokens, "start" its last, and what it begins with."""

CHARS_PER_TOKEN = 8
"""More than most texts have. One that has more of them is tried again with a longer part."""

SPARE_CHARS = 4096
"""A text shorter than this is read whole, whatever the limit."""

MARGIN_TOKENS = 256
"""Tokens of a part beyond those that are needed: at its cut, tokens may differ from the whole text's."""

STEP_CHARS = 1009
"""Distance of the two cuts that are compared. A prime: repeated patterns are then cut at different characters."""

GROWTH = 16
"""A part with too few tokens is followed by one this much longer, so that all tries cost little beside the last."""

WORTH = 4
"""A text shorter than so many parts is read whole: otherwise two parts are tokenised, and one of them again by the
caller.
"""

SLICE_CHARS = 32_768
"""Characters that are tokenised in one call, on all cores. The library's threads are shared by everybody who tokenises,
so a call must be short: a job of millions of characters takes turns with others. It also bounds what is alive at once
(some 200 bytes per token).
"""

SLICE_IDS = 65_536
"""A caller's token ids that are checked at once: Python's lock is held meanwhile."""

Encode = Callable[[Sequence[str]], Sequence[NDArray[np.int32]]]


def padded(rows: Sequence[Ids], longest: int, filling: int = 0) -> Ids:
    """The rows on top of each other, each filled up at its end: (rows, longest)."""
    found = np.full((len(rows), longest), filling, dtype=np.int32)
    for filled, row in zip(found, rows, strict=True):
        filled[: len(row)] = row
    return found


def portions(ids: Iterator[Ids], counts: Iterable[int]) -> Iterator[Iterator[Ids]]:
    """The ids of several jobs' texts, so many for each in turn.

    What a job has not taken of its own is skipped when the next one's are asked for. The last one's are only tokenised
    as far as they are taken.
    """
    for count in counts:
        portion = islice(ids, count)
        yield portion
        deque(portion, maxlen=0)


def too_many_tokens(tokens: int | str, max_tokens: int) -> InputTooLong:
    """For an input with images, which is never cut."""
    return InputTooLong(
        f"{tokens} tokens with its images. This model's maximum context length is {max_tokens} tokens.",
        param="input",
    )


def special_tokens_around(tokenizer: Tokenizer) -> tuple[Ids, Ids]:
    """Those that the tokenizer puts before and after every text. Raises InvalidInput."""
    probe = tokenizer.encode("a")
    mask = np.asarray(probe.special_tokens_mask, dtype=bool)
    ids = np.asarray(probe.ids, dtype=np.int32)
    content = np.flatnonzero(~mask)
    if not len(content):
        raise InvalidInput("The tokenizer reads nothing of a plain letter; its tokenizer.json is not usable.")
    return ids[: content[0]], ids[content[-1] + 1 :]


class Excerpt(NamedTuple):
    """A part of a text, to be tokenised instead of the whole."""

    text: str
    overlong: bool
    """Whether the whole text certainly has more tokens than were asked for."""


class Excerpts:
    """Of one tokenizer's texts. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, encode: Encode) -> None:
        """encode: of each text its ids, special tokens included."""
        # WordPiece makes one [UNK] of any longer word.
        self._longest_word = int(getattr(tokenizer.model, "max_input_chars_per_word", 0))
        self._encode = encode
        self._compactor = compactor(tokenizer)
        self.beginning_chars = STEP_CHARS + 2 * self._longest_word
        """Of a text: what may share a token with that which is before it. Each letter of a word may have a character
        behind it that is dropped.
        """

    def of(self, text: str, tokens: int, side: Side = "end") -> Excerpt:
        """A part of the text whose first (or last) `tokens` ids are those of the whole, and which has more than that;
        or all of a text that is short, or that must be read whole to know.

        A tokenizer reads from left to right, word by word, and the margin holds many words: a cut behind it changes
        nothing before it. Where that is not so (a text that is one word, a pattern that looks ahead to a text's end),
        two different cuts give different tokens, and the whole text is read. With side "start", the beginning stays,
        too: what is before the text may share a token with it.
        """
        margin = MARGIN_TOKENS + self._longest_word
        size = CHARS_PER_TOKEN * (tokens + margin) + SPARE_CHARS
        unused = self._compactor
        while WORTH * (size + STEP_CHARS) + self.beginning_chars < len(text):
            parts = [_part(text, size, side), _part(text, size + STEP_CHARS, side)]
            shorter, longer = self._encode(parts)
            if min(len(shorter), len(longer)) >= tokens + margin and _alike(shorter, longer, tokens, side):
                beginning = text[: self.beginning_chars] if side == "start" else ""
                return Excerpt(beginning + parts[1], overlong=True)
            whole = text
            if unused is not None:
                text, unused = unused.compacted(text), None
            if len(text) == len(whole):
                size *= GROWTH
        return Excerpt(text, overlong=False)


def _part(text: str, size: int, side: Side) -> str:
    return text[:size] if side == "end" else text[-size:]


def _alike(one: NDArray[np.int32], other: NDArray[np.int32], tokens: int, side: Side) -> bool:
    if side == "end":
        return np.array_equal(one[:tokens], other[:tokens])
    return np.array_equal(one[-tokens:], other[-tokens:])


class ModelTokenizer:
    """Thread-safe: nothing changes after the constructor, and encoding releases the GIL."""

    def __init__(self, path: Path, max_tokens: int, vocab_size: int, lowercase: bool = False) -> None:
        """path: tokenizer.json. max_tokens: longest input, special tokens included. vocab_size: rows of the embedding
        table. Raises InvalidInput.
        """
        if not path.is_file():
            raise InvalidInput(f"{path.parent} holds no tokenizer.json; convert the model's tokenizer first.")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if lowercase:
            self._lowercase()
        self._excerpts = Excerpts(self._tokenizer, lambda texts: list(self.encode(texts)))
        self.max_tokens = max_tokens
        self._is_own_limit = True
        self.vocab_size = vocab_size
        self.prefix, self.suffix = self._specials()
        if max_tokens <= len(self.prefix) + len(self.suffix):
            raise InvalidInput(f"A limit of {max_tokens} tokens leaves no room for a text.")

    @property
    def backend(self) -> Tokenizer:
        """The library's own object, to be asked and not changed."""
        return self._tokenizer

    def limited(self, max_tokens: int | None) -> "ModelTokenizer":
        """The same one with a limit that a caller asks for; itself where the limit is none, or not below its own.

        Raises InvalidInput for one that leaves no room for a text.
        """
        if max_tokens is None or max_tokens >= self.max_tokens:
            return self
        if max_tokens <= len(self.prefix) + len(self.suffix):
            raise InvalidInput(
                f"max_tokens: {max_tokens} leaves no room for a text: {len(self.prefix) + len(self.suffix)} special "
                "tokens are around it.",
                param="max_tokens",
            )
        found = copy.copy(self)  # what it shares knows no limit
        found.max_tokens = max_tokens
        found._is_own_limit = False
        return found

    def encode(self, texts: Sequence[str]) -> Iterator[Ids]:
        """Each text's ids with special tokens, in order."""
        start = chars = 0
        for end, text in enumerate(texts):
            chars += len(text)
            if chars > SLICE_CHARS and end > start:
                yield from self._encode_slice(texts[start:end])
                start, chars = end, len(text)
        yield from self._encode_slice(texts[start:])

    def excerpt(self, text: str, side: Side = "end") -> Excerpt:
        """What the model reads as it reads the text, once both are cut to the limit. What it leaves out of a long text
        is never tokenised (see Excerpts).
        """
        return self._excerpts.of(text, self.max_tokens + 1, side)

    def shortened(self, text: str, truncate: Truncate, prompt: str = "") -> str:
        """The text, or a part of it for which `cut` gives the same. prompt: what is read before it.

        Raises InputTooLong where truncate is "none" and the text certainly too long, or the prompt is.
        """
        if self.excerpt(prompt).overlong:
            raise InputTooLong(
                f"the prompt has more than {self.max_tokens} tokens and leaves no room for text: the model reads at "
                f"most {self.max_tokens}. Shorten the instruction.",
                param="input",
            )
        found = self.excerpt(text, "start" if truncate == "start" else "end")
        if found.overlong and truncate == "none":
            raise self._too_long(f"more than {self.max_tokens}")
        return found.text

    def check_mixed(self, texts: Sequence[str]) -> None:
        """Raises InputTooLong where the texts of an input with images, which is never cut, are certainly too long."""
        if self.excerpt("".join(texts)).overlong:
            raise too_many_tokens(f"more than {self.max_tokens}", self.max_tokens)

    def shortened_ids(self, ids: Sequence[int], truncate: Truncate) -> Sequence[int]:
        """The same for a caller's token ids. Raises InvalidInput for ids outside the vocabulary: also for those that
        are left out.
        """
        most = self.max_tokens + len(self.prefix) + len(self.suffix)
        if len(ids) <= 2 * most:
            return ids  # `wrap` checks all of them
        self._check_known(ids)
        if truncate == "none":
            raise self._too_long(str(len(ids)))
        return [*ids[:most], *ids[-most:]]

    def wrap(self, ids: Sequence[int], prompt: str) -> tuple[Ids, int]:
        """What the model reads for a caller's token ids, and how many tokens of it are the prompt.

        The ids' own special tokens at either end are taken as such. The prompt is tokenised apart from the ids.
        Raises InvalidInput for ids outside the vocabulary.
        """
        self._check_known(ids)
        content = np.asarray(ids, dtype=np.int32)
        if len(self.prefix) and np.array_equal(content[: len(self.prefix)], self.prefix):
            content = content[len(self.prefix) :]
        if len(self.suffix) and np.array_equal(content[-len(self.suffix) :], self.suffix):
            content = content[: -len(self.suffix)]
        lead = np.asarray(self._tokenizer.encode(prompt, add_special_tokens=False).ids, dtype=np.int32)
        return np.concatenate((self.prefix, lead, content, self.suffix)), len(lead)

    def prompt_tokens(self, prompt: str, text: str) -> int:
        """How many tokens of prompt + text the prompt has a part in."""
        encoding = self._tokenizer.encode(
            prompt + text[: self._excerpts.beginning_chars], add_special_tokens=False
        )
        return sum(begin < len(prompt) for begin, _ in encoding.offsets)

    def cut(self, ids: Ids, prompt_tokens: int, truncate: Truncate, tail_tokens: int = 0) -> Ids:
        """`ids` within the limit: tokens of the text go, special tokens and the prompt stay.

        tail_tokens: those of the prompt that are behind the text. Raises InputTooLong where truncate is "none", or the
        prompt alone fills the limit.
        """
        if truncate == "none":
            raise self._too_long(str(len(ids)))
        head = len(self.prefix) + prompt_tokens
        end = len(ids) - tail_tokens - len(self.suffix)
        room = self.max_tokens - head - (len(ids) - end)
        if room < 1:
            raise InputTooLong(
                f"the prompt has {prompt_tokens + tail_tokens} tokens and leaves no room for text: the model reads at "
                f"most {self.max_tokens}. Shorten the instruction.",
                param="input",
            )
        text = ids[head:end]
        kept = text[:room] if truncate == "end" else text[-room:]
        return np.concatenate((ids[:head], kept, ids[end:]))

    def token_id(self, token: str) -> int | None:
        """The id of what the vocabulary has as one token, None where it has no such."""
        return self._tokenizer.token_to_id(token)

    def _encode_slice(self, texts: Sequence[str]) -> Iterator[Ids]:
        # In this thread: a long text would keep others from the library's threads.
        if len(texts) == 1 and len(texts[0]) > SLICE_CHARS:
            yield np.asarray(self._tokenizer.encode(texts[0]).ids, dtype=np.int32)
            return
        for encoding in self._tokenizer.encode_batch_fast(list(texts)):
            yield np.asarray(encoding.ids, dtype=np.int32)

    def _too_long(self, tokens: str) -> InputTooLong:
        limit = "This model's maximum context length is" if self._is_own_limit else "max_tokens is"
        return InputTooLong(
            f"{tokens} tokens. {limit} {self.max_tokens}{' tokens' * self._is_own_limit}. "
            'Shorten it, or set `truncate` to "end" or "start".',
            param="input",
        )

    def _specials(self) -> tuple[Ids, Ids]:
        """The special tokens that the tokenizer puts before and after every text."""
        return special_tokens_around(self._tokenizer)

    def _check_known(self, ids: Sequence[int]) -> None:
        """Raises InvalidInput for ids outside the vocabulary."""
        slices = (ids[at : at + SLICE_IDS] for at in range(0, len(ids), SLICE_IDS))
        if not all(self._knows(each) for each in slices):
            raise InvalidInput(
                f"a token id is outside the model's vocabulary (0 to {self.vocab_size - 1}). "
                "Use the model's own tokenizer, or send text.",
                param="input",
            )

    def _knows(self, ids: Sequence[int]) -> bool:
        """The embedding table may have more rows than the tokenizer has tokens; those rows were never trained."""
        if min(ids) < 0 or max(ids) >= self.vocab_size:
            return False
        known = self._tokenizer.get_vocab_size()
        return all(self._tokenizer.id_to_token(token) is not None for token in set(ids) if token >= known)

    def _lowercase(self) -> None:
        steps = [normalizers.Lowercase()]
        if self._tokenizer.normalizer is not None:
            steps.append(self._tokenizer.normalizer)
        self._tokenizer.normalizer = normalizers.Sequence(steps)
