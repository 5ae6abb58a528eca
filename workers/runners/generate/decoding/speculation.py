"""Speculative decoding: a small model, the draft, proposes an answer's next tokens, the large one reads them at once.

Where the large model would have chosen the same tokens, several are written in about the time of one. The large model
alone decides, each token by its own draw, so the draft changes only how long an answer takes. (Logits of five tokens
read at once differ in the last bits from those of tokens read one by one, as between batches of different sizes.)

The draft draws with the same random numbers as the large model, so it agrees with it far more often on sampled tokens.

The idea is from Leviathan et al., Fast Inference from Transformers via Speculative Decoding (2023). They accept a
proposal by both models' probabilities, so a seed's tokens depend on what was proposed; here the tokens are compared.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import mlx.core as mx
from mlx_lm.models.cache import CacheList, KVCache, make_prompt_cache, trim_prompt_cache

from jobs.errors import InvalidInput
from workers.runners.generate.decoding.sampling import Sampler, SamplerParams, sample
from workers.runners.tokens.common_prefix import common_prefix_length

MAX_DEPTH = 8
"""Tokens proposed at once, at most."""

FIRST_RATE, LEAST_RATE = 0.8, 0.3
"""Share of right proposals that is assumed at first, and the one below which proposing costs more than it brings."""

FADE = 0.92
"""Weight of a proposal's outcome after the next one: about the last twelve count."""

REST, LONGEST_REST = 16, 256
"""Steps without a proposal while too few are right; then one token is tried. Twice as many after each wrong one."""

LOWEST_RATE = 0.25
"""One right proposal is enough to begin again."""

CATCH_UP_TOKENS = 512
"""What the draft reads of a prompt in one step, at most: running answers do not wait longer than for that."""

PADDING = 0.01
"""Vocabularies of models of one tokenizer may differ by this share: some are padded with rows that no token has."""


class Draw(Sampler):
    """Draws one certain token of an answer, the same each time."""

    def __init__(self, params: SamplerParams, key: bytes) -> None:
        super().__init__(params)
        self._key = key

    def key(self) -> bytes:
        return self._key

    def without_filters(self) -> "Draw":
        """For a guess at what it draws: finding top_k and top_p takes long, and they change few draws."""
        return Draw(replace(self.params, top_k=0, top_p=1.0), self._key)


class Proposal(NamedTuple):
    """What the draft guesses that an answer goes on with."""

    tokens: mx.array
    """(proposed,), not computed yet."""
    draws: list[Draw]
    """How the model draws each of these tokens, and the one after them."""


class Depth:
    """How many tokens to propose, by how many of the latest were right. Pure."""

    def __init__(self) -> None:
        self._rate = FIRST_RATE
        self._rest = REST
        self._rested = 0

    def next(self) -> int:
        """As many as are all right in half of the cases; 0 in most steps where hardly any are."""
        if self._rate < LEAST_RATE and self._rested < self._rest:
            self._rested += 1
            return 0
        return max(1, min(MAX_DEPTH, int(math.log(0.5) / math.log(min(self._rate, 0.99)))))

    def learn(self, proposed: int, right: int) -> None:
        """right: how many were, before the first wrong one; what came after that one tells nothing."""
        if self._rate < LEAST_RATE:
            self._rest, self._rested = min(LONGEST_REST, 2 * self._rest), 0
        if right:
            self._rest = REST
        for outcome in [1] * right + [0] * (right < proposed):
            self._rate = max(LOWEST_RATE, FADE * self._rate + (1 - FADE) * outcome)


class Draft:
    """The draft model and its state: the tokens of one row, as far as they are read. Belongs to the device's thread."""

    def __init__(self, model: Any, vocab_size: int) -> None:
        """vocab_size: of the model that it proposes to."""
        self._model = model
        self._vocab_size = vocab_size
        self._own_size = vocab_size_of(model)
        self._layers = make_prompt_cache(model)
        self._row: list[int] = []
        self._known = 0
        self._proposed = 0

    def catch_up(self, row: list[int]) -> bool:
        """Read on in the row's tokens. Whether so few are left that `propose` can read them.

        row: the list itself, which grows. Another list is another row; what both begin with is not read again.
        """
        if row is not self._row:
            self._turn_to(row)
        if len(row) - self._known > MAX_DEPTH:
            piece = row[self._known : self._known + CATCH_UP_TOKENS]
            self._model(self._ids(mx.array(piece))[None], cache=self._layers)
            mx.async_eval([layer.state for layer in self._layers])
            self._known += len(piece)
        return len(row) - self._known <= MAX_DEPTH

    def propose(self, pending: mx.array, draws: Sequence[Draw]) -> mx.array:
        """What may follow the row that was caught up with and then `pending` (1,): a token for each draw."""
        unread = self._row[self._known :]
        ids = mx.concatenate([mx.array(unread, pending.dtype), pending])
        found: list[mx.array] = []
        for draw in draws:
            logits = self._model(self._ids(ids)[None], cache=self._layers)[:, -1]
            ids = sample(self._fitted(logits), [draw])
            mx.async_eval(ids)
            found.append(ids)
        self._known += len(unread)
        self._proposed = len(draws)
        return mx.concatenate(found)

    def keep(self, tokens: int) -> None:
        """So many more tokens of the row, pending and proposed, have proved right; the others are taken back."""
        read = min(tokens, self._proposed)  # it never read its last proposal
        trim_prompt_cache(self._layers, self._proposed - read)
        self._known += read
        self._proposed = 0

    def _turn_to(self, row: list[int]) -> None:
        shared = common_prefix_length(self._row[: self._known], row)
        if 2 * shared < self._known:  # a long row's memory is given back
            self._layers, self._known = make_prompt_cache(self._model), 0
        else:
            trim_prompt_cache(self._layers, self._known - shared)
            self._known = shared
        self._row = row

    def _ids(self, ids: mx.array) -> mx.array:
        """A token that it does not have is read as another: it then guesses worse."""
        return mx.minimum(ids, self._own_size - 1)

    def _fitted(self, logits: mx.array) -> mx.array:
        """logits (1, own vocabulary) as (1, vocabulary of the model that it proposes to)."""
        lacking = max(0, self._vocab_size - self._own_size)
        return mx.pad(logits[:, : self._vocab_size], [(0, 0), (0, lacking)], constant_values=-mx.inf)


class Speculation:
    """Proposals for one row at a time, and how many were right. Belongs to the device's thread."""

    def __init__(self, draft: Any, vocab_size: int) -> None:
        self._draft = Draft(draft, vocab_size)
        self._depth = Depth()
        self.drafted = False
        """Whether the draft model computed in the latest step."""

    def propose(self, row: list[int], pending: mx.array, room: int, sampler: Sampler) -> Proposal | None:
        """What may follow `row` and `pending` (1,). None where the draft is not ready, or proposing does not pay.

        row: the row's tokens so far, in a list that grows. room: proposals that could become part of the answer.
        sampler: the row's; it is left where it is.
        """
        depth = min(self._depth.next(), room)
        if depth < 1:
            return None
        self.drafted = True
        if not self._draft.catch_up(row):
            return None
        draws = draws_of(sampler, depth + 1)
        return Proposal(self._draft.propose(pending, [draw.without_filters() for draw in draws[:-1]]), draws)

    def learn(self, proposed: int, right: int) -> None:
        """So many of the proposals were what the model chose; they and what was pending are part of the row."""
        self._depth.learn(proposed, right)
        self._draft.keep(right + 1)


def draws_of(sampler: Sampler, count: int) -> list[Draw]:
    """What `sampler` would draw an answer's next tokens with."""
    ahead = copy.copy(sampler)
    return [Draw(ahead.params, ahead.key()) for _ in range(count)]


def check_draft(model: Any, draft: Any) -> None:
    """Raises InvalidInput where `draft` cannot propose to `model`."""
    for name, each in (("This model cannot have a draft", model), ("This model cannot be a draft", draft)):
        if not all(_takes_back(layer) for layer in make_prompt_cache(each)):
            raise InvalidInput(
                f"{name}: its state (of a recurrent layer or a sliding window) cannot be taken back to before "
                "a wrong proposal.",
                param="model",
            )
    size, own_size = vocab_size_of(model), vocab_size_of(draft)
    if abs(size - own_size) > PADDING * size:
        raise InvalidInput(
            f"The draft's vocabulary has {own_size} tokens, and the model's {size}: a draft must be of the same "
            "tokenizer.",
            param="model",
        )


def vocab_size_of(model: Any) -> int:
    """How many tokens the model chooses from. Computes nothing: the logits are described and never evaluated."""
    return model(mx.array([[0]])).shape[-1]


def _takes_back(layer: Any) -> bool:
    """Not `is_trimmable`: a sliding window says yes until it is full."""
    if isinstance(layer, CacheList):
        return all(_takes_back(each) for each in layer.caches)
    return isinstance(layer, KVCache)
