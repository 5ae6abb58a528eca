"""How much batch work fits between two tokens of the running answers."""

import time
from collections.abc import Iterable

from workers.scheduling.cost_model import CostModel

TOLERANCE = 1.15
"""An item that passes the interval by less may run."""

FADE = 0.9
"""Weight of a step after the next one: about the last ten tell how long steps take."""

MOST_STEP = 0.5
"""Of the interval: a longer step computes prompts, too. The next one may take as long, those after it do not."""

SKIPS = 20
"""What never fits runs after so many turns all the same: one long pause in twenty is no stutter."""


class TokenBudget:
    """Belongs to the device's thread. One per device."""

    def __init__(self, models: Iterable[str], interval_s: float) -> None:
        """interval_s: the time between two tokens that running answers are to keep."""
        self.interval_s = interval_s
        self._costs = {model: CostModel() for model in models}
        self._began = 0.0
        """When the step did, by time.monotonic."""
        self._ends = 0.0
        """When the next step is to begin."""
        self._step_s = self._deviation_s = 0.0
        """How long steps take, and by how much they differ from that: averages of the latest ones."""
        self._untouched = True
        """No batch has run in this turn."""
        self._skipped = 0

    def add(self, model: str) -> None:
        """Another model, of which nothing is known yet."""
        self._costs[model] = CostModel()

    def begin_turn(self) -> None:
        """The tokens of a step are about to be computed."""
        self._began = time.monotonic()

    def end_step(self) -> None:
        """The tokens are there: the interval begins. What the next step will leave of it is for batches."""
        now = time.monotonic()
        took_s = now - self._began
        if took_s <= MOST_STEP * self.interval_s:
            self._step_s += (1 - FADE) * (took_s - self._step_s)
            self._deviation_s += (1 - FADE) * (abs(took_s - self._step_s) - self._deviation_s)
            took_s = self._step_s + self._deviation_s
        self._ends = now + self.interval_s - took_s
        self._untouched = True

    def has_time(self, share: float = 1) -> bool:
        """Whether less than that share of the interval is over, steps included."""
        return self._left_s() > (1 - share) * self.interval_s

    def tokens(self, model: str) -> int:
        """The most padded tokens that fit into the rest of the interval."""
        return self._costs[model].tokens_within(self._left_s())

    def admits(self, model: str, length: int) -> bool:
        """Whether an item that does not fit may run alone all the same."""
        needed_s = self._costs[model].predict(length)
        fits = self.interval_s - self._left_s() + needed_s <= TOLERANCE * self.interval_s
        if fits:
            return True
        if not self._untouched:
            return False
        self._skipped += 1
        if needed_s <= self.interval_s and self._skipped <= SKIPS:
            return False
        self._skipped = 0
        return True

    def observe(self, model: str, tokens: int, seconds: float) -> None:
        """A batch of so many padded tokens took so long."""
        self._costs[model].observe(tokens, seconds)
        self._untouched = False

    def _left_s(self) -> float:
        return self._ends - time.monotonic()
