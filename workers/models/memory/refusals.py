"""Which models a worker does not load for a while. Times are by time.monotonic."""

import time
from typing import NamedTuple

from jobs.models import UnloadableModel

TRIED_AGAIN_S = 60
"""A model that could not be loaded is tried again after so long, and after each further failure after twice as long."""

TRIED_AGAIN_AT_MOST_S = 600
"""Each try may push other models out of memory."""


class Refused(NamedTuple):
    """A model that is not loaded for a while."""

    why: str
    at: float
    until: float
    failures: int
    """Failed loads in a row."""


class Refusals:
    """Of the models of one ModelCache, whose lock guards it."""

    def __init__(self) -> None:
        self._found: dict[str, Refused] = {}
        """Also those that are over, until the model is loaded."""

    def add(self, model: str, why: str, for_s: float | None) -> float:
        """Refuse it from now on. For how many seconds: for_s; None: the longer, the more loads have failed in a row."""
        now = time.monotonic()
        failures = self._found[model].failures + 1 if model in self._found else 1
        if for_s is None:
            for_s = min(TRIED_AGAIN_AT_MOST_S, TRIED_AGAIN_S * 2 ** (failures - 1))
        self._found[model] = Refused(
            f"The model {model} cannot be loaded: {why}.", now, now + for_s, failures
        )
        return for_s

    def now(self, model: str) -> Refused | None:
        """Whether it is refused now, and why."""
        found = self._found.get(model)
        return found if found and time.monotonic() < found.until else None

    def forget(self, model: str) -> None:
        """It has been loaded."""
        self._found.pop(model, None)

    def report(self) -> tuple[UnloadableModel, ...]:
        """What is refused now, with times since the epoch."""
        to_epoch = time.time() - time.monotonic()
        found = {model: self.now(model) for model in self._found}
        return tuple(
            UnloadableModel(model, refused.why, refused.until + to_epoch)
            for model, refused in found.items()
            if refused
        )
