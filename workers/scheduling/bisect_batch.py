"""Running a batch so that an item which breaks it fails alone."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from jobs.errors import InternalError, JobError

log = logging.getLogger(__name__)


def run_bisected(run: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Any]:
    """One outcome per item. A run that raises is repeated on both halves; a single item that raises is its own failure.

    Splitting costs at most 2 * log2(len(items)) further runs per bad item.
    """
    try:
        outcomes = list(run(items))
        if len(outcomes) != len(items):
            raise InternalError(f"the runner gave {len(outcomes)} outcomes for {len(items)} items")
        return outcomes
    except Exception as error:  # whatever a model throws
        if len(items) == 1:
            log.exception("item failed")
            return [error if isinstance(error, JobError) else _as_internal(error)]
        log.warning(
            "batch failed, running its halves",
            extra={"batch_size": len(items), "error": type(error).__name__},
        )
    middle = len(items) // 2
    return run_bisected(run, items[:middle]) + run_bisected(run, items[middle:])


def _as_internal(error: Exception) -> InternalError:
    failure = InternalError()
    failure.__cause__ = error
    return failure
