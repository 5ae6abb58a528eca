"""Who has used models lately, and how long they stay in memory after that. Times are by time.monotonic."""

from jobs.job import LANES, Lane


class ModelUse:
    """Of the models of one ModelCache, whose lock guards it."""

    def __init__(self, keep_alive_s: float) -> None:
        """keep_alive_s: how long a model stays that nobody has asked to be kept for another time."""
        self._keep_alive_s = keep_alive_s
        self._asked_s: dict[str, float] = {}
        """How long somebody asked for a model to be kept. It holds for later users, as in Ollama, until it leaves."""
        self._used_at: dict[str, dict[Lane, float]] = {}

    def note(self, model: str, lane: Lane, keep_alive_s: float | None, now: float) -> bool:
        """A job has ended. keep_alive_s: what it asked for; None: nothing. Whether that is new."""
        self._used_at.setdefault(model, {})[lane] = now
        if keep_alive_s is None or keep_alive_s == self._asked_s.get(model):
            return False
        self._asked_s[model] = keep_alive_s
        return True

    def let_go(self, model: str) -> None:
        """It is to leave as soon as nothing is to be done for it."""
        self._asked_s[model] = 0.0

    def stays_until(self, model: str, now: float) -> float:
        """When it leaves if it is last used now; infinity: never."""
        return now + self._asked_s.get(model, self._keep_alive_s)

    def last_lane(self, model: str, since: float) -> Lane | None:
        """The highest lane that has used it since then."""
        used = self._used_at.get(model, {})
        return min((lane for lane, at in used.items() if at > since), key=LANES.index, default=None)

    def note_left(self, model: str) -> None:
        """It is no longer in memory: nothing of what was asked for holds any more."""
        self._asked_s.pop(model, None)
