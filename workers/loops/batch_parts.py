"""Running a batch that fails in parts: to find the item at fault, or because the device's memory does not hold it."""

import logging
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from jobs.errors import InternalError, JobError

log = logging.getLogger(__name__)

_NO_MEMORY = re.compile(
    r"\[(metal::)?malloc\]"  # MLX's allocators: no buffer, or one larger than the device allows
    r"|insufficient memory|out ?of ?memory"  # Metal's command buffers, CUDA's calls
    r"|cudaMalloc\w*|ALLOC_FAILED|bad_alloc",  # CUDA's libraries
    re.IGNORECASE,
)


class HasLength(Protocol):
    """An item, by its tokens."""

    @property
    def length(self) -> int: ...


Item = TypeVar("Item", bound=HasLength)
Outcome = TypeVar("Outcome")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device had too little memory. MLX raises plain RuntimeErrors; only their text tells."""
    if isinstance(error, JobError):
        return False
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None
    )


def padded_tokens(items: Sequence[HasLength]) -> int:
    """Tokens that the device computes for them together: each is as long as the longest."""
    return len(items) * max(item.length for item in items)


def run_in_parts(
    run: Callable[[Sequence[Item]], Sequence[Outcome]],
    items: Sequence[Item],
    *,
    on_no_memory: Callable[[Sequence[Item]], int],
) -> list[Outcome | JobError]:
    """One outcome per item. A run that raises is repeated on both halves; a single item that raises is its own failure.

    A run for which there was no memory says nothing of its items: it and what is left are run in parts of so many
    padded tokens as on_no_memory (given the run's items) says. A single item is tried twice.

    Finding an item at fault costs at most 2 * log2(len(items)) further runs.
    """
    outcomes: list[Outcome | JobError] = []
    waiting = deque([items])
    tried_again = False
    while waiting:
        part = waiting.popleft()
        result = _outcomes(run, part)
        if isinstance(result, list):
            outcomes += result
            tried_again = False
        elif is_out_of_memory(result):
            most = on_no_memory(part)
            if len(part) > 1:
                waiting = deque(piece for each in (part, *waiting) for piece in _cut(each, most))
            elif tried_again:
                outcomes.append(_failure(result, "The device's memory does not hold this input. Shorten it."))
                tried_again = False
            else:
                waiting.appendleft(part)
                tried_again = True
        elif len(part) == 1:
            log.error("item failed", exc_info=result)
            outcomes.append(result if isinstance(result, JobError) else _failure(result))
        else:
            middle = len(part) // 2
            waiting.extendleft((part[middle:], part[:middle]))
        if not isinstance(result, list):
            log.warning("a batch failed", extra={"batch_size": len(part), "error": type(result).__name__})
    return outcomes


def _outcomes(
    run: Callable[[Sequence[Item]], Sequence[Outcome]], items: Sequence[Item]
) -> list[Outcome] | Exception:
    try:
        outcomes = list(run(items))
        if len(outcomes) != len(items):
            raise InternalError(f"the runner gave {len(outcomes)} outcomes for {len(items)} items")
        return outcomes
    except Exception as error:  # noqa: BLE001  # whatever a model throws
        if is_out_of_memory(error):
            error.__traceback__ = None  # it holds what the run had computed so far
        return error


def _cut(items: Sequence[Item], most: int) -> list[Sequence[Item]]:
    """Neighbours stay together. Of an item that is longer than that, a part of its own."""
    pieces: list[Sequence[Item]] = []
    start = longest = 0
    for n, item in enumerate(items):
        longest = max(longest, item.length)
        if n > start and longest * (n - start + 1) > most:
            pieces.append(items[start:n])
            start, longest = n, item.length
    return [*pieces, items[start:]]


def _failure(error: Exception, message: str | None = None) -> InternalError:
    failure = InternalError(message)
    failure.__cause__ = error
    return failure
