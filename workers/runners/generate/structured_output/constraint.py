"""Keeps an answer within a grammar: at each step, only tokens that may come next can be chosen."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from jobs.errors import InternalError, InvalidInput, JobError
from workers.runners.generate.structured_output.json_runs import JsonRuns, JsonTokens

Words = NDArray[np.uint32]

ALL = np.uint32(0xFFFFFFFF)
LEFT = "doesn't satisfy the grammar"
"""In llguidance's words: a token came that the mask forbids. All its other errors are the grammar's."""

LIMITED = ("fuel", "too many", "Too many", "too big", "too large", "limit", "max is")
"""Words of its errors where a limit was reached."""


@dataclass(frozen=True, slots=True)
class FreeText:
    """What stands before, between and behind parts that have a grammar: any tokens, also the end of the answer."""

    begin: int
    """The token after which such a part begins, unless it stands in the reasoning."""
    think_start: tuple[int, ...] = ()
    """Ids that begin the reasoning."""
    think_end: tuple[int, ...] = ()
    """Ids that end it."""
    thinks: bool = False
    """Whether the answer begins within the reasoning."""


class GrammarConstraint:
    """The grammar's state of one answer, and a logits processor (mlx-lm's interface). Put it after all others.

    The end tokens are allowed where the grammar may stop, and nothing else where it must. Ids that the tokenizer does
    not have (padding of the vocabulary) never are. When the grammar fails, only end tokens are: read `failure` then.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        eos: Sequence[int],
        *,
        param: str = "response_format",
        after: Sequence[int] | None = None,
        generated: Sequence[int] = (),
        json_tokens: JsonTokens | None = None,
        free: FreeText | None = None,
    ) -> None:
        """matcher: at its grammar's start, this answer's own. eos: the end tokens it knows.

        json_tokens: of an answer that is JSON, whose numbers and white space are to end. free: the grammar is that of
        parts of the answer; then there is no `after`.
        after: token ids after which the grammar begins, such as those of </think>; until then anything but an end
        token may come. None: it begins at once. generated: tokens of this answer that are already there.
        """
        self._matcher = matcher
        self._unused = matcher.deep_copy()
        self._json_tokens = json_tokens
        self._runs = JsonRuns(json_tokens) if json_tokens else None
        self._free = free
        self._eos = tuple(eos)
        self._param = param
        self._after = tuple(after or ())
        sequences = (free.think_start, free.think_end) if free else (self._after,)
        self._tail = deque[int](maxlen=max(map(len, sequences)))
        self._thinks = free is not None and free.thinks
        self._waits = bool(self._after) or free is not None
        self._begun = False
        for token in generated:
            self.advance(token)

    def restarted(self, generated: Sequence[int] = ()) -> "GrammarConstraint":
        """The same for another answer, or for one that goes on after `generated`. Takes microseconds."""
        return GrammarConstraint(
            self._unused.deep_copy(),
            self._eos,
            param=self._param,
            after=self._after,
            generated=generated,
            json_tokens=self._json_tokens,
            free=self._free,
        )

    @property
    def failure(self) -> JobError | None:
        """Why the grammar could not be followed to the end."""
        if not self._matcher.is_error():
            return None
        if LEFT in self._matcher.get_error():
            return InternalError("The answer left its grammar.")
        return too_complex(self._matcher, self._param)

    @property
    def complete(self) -> bool:
        """Whether the answer, as it is, fulfils the grammar."""
        if self._waits:
            return self._free is not None
        return not self._matcher.is_error() and self._matcher.is_accepting()

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """logits (1, vocabulary), with -inf for what may not come after `tokens` (prompt and answer)."""
        if self._begun:
            last = tokens[-1:]
            start(last, logits)
            read: Any = last.tolist()
            self.advance(read[0])
        self._begun = True
        return apply_mask(logits, mx.array(self.mask(logits.shape[-1])[None]))

    def follow(self, token: int) -> None:
        """Go on to the next step of a batch. `token` came last: at the first step, before this answer began."""
        if self._begun:
            self.advance(token)
        self._begun = True

    def advance(self, token: int) -> None:
        """Take in a token of the answer."""
        if self._waits:
            self._tail.append(token)
            self._waits = not self._begins(token)
            return
        self._matcher.consume_token(token)
        if self._runs:
            self._runs.advance(token)
        # Nothing but its end is accepted: another part may come.
        if self._free and self._matcher.is_accepting():
            self._matcher = self._unused.deep_copy()
            self._runs = JsonRuns(self._json_tokens) if self._json_tokens else None
            self._tail.clear()
            self._waits = True

    def _begins(self, token: int) -> bool:
        """Whether the grammar begins behind this token, the last of `_tail`."""
        if self._free is None:
            return self._ends_with(self._after)
        if self._thinks:
            self._thinks = not self._ends_with(self._free.think_end)
            return False
        self._thinks = self._ends_with(self._free.think_start)
        return token == self._free.begin

    def _ends_with(self, ids: Sequence[int]) -> bool:
        return bool(ids) and tuple(self._tail)[-len(ids) :] == tuple(ids)

    def mask(self, vocab_size: int) -> Words:
        """One bit per token id, lowest first: 1 where it may come next."""
        words = np.zeros(-(-vocab_size // 32), np.uint32)
        if self._waits:
            words[:] = ALL
            for token in () if self._free else self._eos:
                words[token // 32] &= ~np.uint32(1 << token % 32)
            return words
        known = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)[: len(words)]
        words[: len(known)] = known
        return self._runs.narrow(words) if self._runs else words


def too_complex(matcher: LLMatcher, param: str) -> InvalidInput:
    """The caller's error for a matcher that failed by its grammar."""
    return InvalidInput(
        f"The answer cannot be held to {param}: {reason_of(matcher.get_error())}.", param=param
    )


def reason_of(message: str) -> str:
    """llguidance's error in one line, without what it quotes from the grammar."""
    if "panic" in message:
        return "it is too complex"
    if "NoExtension" in message:
        return "nothing can fulfil it"
    lines = [line for line in message.splitlines() if line and not line.startswith((" ", "<", "^"))]
    kept = (
        [lines[0], *(line for line in lines[1:] if line.startswith("error:"))]
        if lines
        else ["it is too complex"]
    )
    found = " ".join(kept).split("; consider")[0].split("; try")[0].rstrip(" .:")[:300]
    return f"it is too complex ({found})" if any(word in found for word in LIMITED) else found


def start(tokens: mx.array, logits: mx.array) -> None:
    """Sets the device to work on the logits before the tokens are waited for.

    The tokens come from the step before. In this order reading them does not wait for the model, and the grammar is
    worked out beside it.
    """
    mx.async_eval(tokens)
    mx.async_eval(logits)


def apply_mask(logits: mx.array, words: mx.array) -> mx.array:
    """logits (rows, vocabulary), -inf where the bit is 0 in words (rows, vocabulary / 32, rounded up), uint32."""
    bits = (words[:, :, None] >> mx.arange(32, dtype=mx.uint32)) & 1
    allowed = bits.reshape(len(words), -1)[:, : logits.shape[-1]] == 1
    return mx.where(allowed, logits, -mx.inf)
