"""How large a batch may be for the device's memory, learned from what failed. Nothing here touches the device."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

GROW_AFTER = 32
"""So many full batches must run before they may be an eighth larger. Doubled whenever that turns out too large."""

MAX_GROW_AFTER = 1 << 14

NOTED_STEPS = 8
"""What has run is noted in eighths of a full batch: it is written to a file, and not for every batch."""


class Learned(msgspec.Struct, frozen=True):
    """What is known of a model's batches on a device. Sizes are padded tokens."""

    tokens: int | None = None
    """A batch may have so many. None: as many as the settings say."""
    ran: int = 0
    """Batches of this size have run."""
    died: int = 0
    """A worker died with a batch of this size, though such had run before: the second time it counts. 0: none did."""
    full_batches: int = 0
    """How many have run since `tokens` last changed."""
    grow_after: int = GROW_AFTER
    has_grown: bool = False
    """`tokens` has been raised since a batch last was too large."""


def after_failure(learned: Learned, tokens: int) -> Learned:
    """A batch of this size was too large for the memory: half of it. One that was started before that was known is no
    news.
    """
    if learned.tokens is not None and tokens > learned.tokens:
        return learned
    most = max(1, tokens // 2)
    grow_after = learned.grow_after * 2 if learned.has_grown else learned.grow_after
    return Learned(most, min(learned.ran, most), 0, 0, min(grow_after, MAX_GROW_AFTER))


def after_death(learned: Learned, tokens: int) -> Learned:
    """A worker died while a batch of this size ran. Where such batches had run before, it may have died of something
    else: only the second death without a success counts.
    """
    if tokens <= learned.ran and not learned.died:
        return msgspec.structs.replace(learned, died=tokens)
    return after_failure(learned, tokens)


def after_success(learned: Learned, tokens: int, limit: int) -> Learned:
    """A batch of this size has run. limit: what the settings allow."""
    step = max(1, limit // NOTED_STEPS)
    ran = max(learned.ran, tokens // step * step)
    died = 0 if tokens >= learned.died else learned.died
    if learned.tokens is None or 4 * tokens < 3 * learned.tokens:
        return msgspec.structs.replace(learned, ran=ran, died=died)
    if learned.full_batches + 1 < learned.grow_after:
        return msgspec.structs.replace(learned, ran=ran, died=died, full_batches=learned.full_batches + 1)
    grown = learned.tokens + max(1, learned.tokens // 8)
    most = grown if grown < limit else None
    return Learned(most, ran, died, 0, learned.grow_after, has_grown=True)


class SizeMemory(Protocol):
    """Where it is kept, for the next process (workers.loops.size_file.SizeFile)."""

    def read(self) -> Mapping[str, Learned]:
        """By model."""
        ...

    def deaths(self) -> list[tuple[str, int]]:
        """Model and size of each batch that a process died with, once."""
        ...

    def write(self, model: str, learned: Learned) -> None:
        """Keep what is known of the model now."""
        ...

    def begin(self, model: str, tokens: int) -> None:
        """Such a batch is about to run."""
        ...

    def end(self) -> None:
        """None runs any more."""
        ...


class BatchSizes:
    """Belongs to the device's thread. One per device."""

    def __init__(self, limits: Mapping[str, int], memory: SizeMemory | None = None) -> None:
        """limits: padded tokens that the settings allow to a batch of each model. memory: None keeps nothing."""
        self._limits = dict(limits)
        self._memory = memory
        known = memory.read() if memory else {}
        self._learned = {model: known.get(model, Learned()) for model in limits}
        for model, tokens in memory.deaths() if memory else ():
            if model in limits:
                self._set(model, after_death(self._learned[model], tokens))

    def add(self, model: str, tokens: int) -> None:
        """Another model, whose batches may have so many padded tokens. What was learned of its name is forgotten."""
        self._limits[model], self._learned[model] = tokens, Learned()

    def most(self, model: str) -> int:
        """Padded tokens that a batch may have."""
        return min(self._limits[model], self._learned[model].tokens or self._limits[model])

    def begin(self, model: str, tokens: int) -> None:
        """A batch of this size is about to run."""
        if self._memory:
            self._memory.begin(model, tokens)

    def end(self) -> None:
        """No batch runs any more."""
        if self._memory:
            self._memory.end()

    def note_ran(self, model: str, tokens: int) -> None:
        """A batch of this size has run."""
        self._set(model, after_success(self._learned[model], tokens, self._limits[model]))

    def note_too_large(self, model: str, tokens: int) -> None:
        """The device had no memory for a batch of this size."""
        self._set(model, after_failure(self._learned[model], tokens))

    def _set(self, model: str, learned: Learned) -> None:
        before, self._learned[model] = self._learned[model], learned
        if self._memory and (learned.tokens, learned.ran, learned.died) != (
            before.tokens,
            before.ran,
            before.died,
        ):
            self._memory.write(model, learned)
