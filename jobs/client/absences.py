"""How long models have been without a worker. Pure."""

from collections.abc import Collection


class Absences:
    """Counted from the first time that somebody needs the model. Time in which a worker starts does not count: it loads
    its models, and says which only then.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def seconds(self, model: str) -> float:
        """0 while a live worker serves it."""
        return self._seconds.setdefault(model, 0.0)

    def count(self, live: Collection[str], *, starting: bool, passed_s: float) -> None:
        """passed_s: since the last count. live: models that a live worker serves."""
        for model, seconds in self._seconds.items():
            if model in live:
                self._seconds[model] = 0.0
            elif not starting:
                self._seconds[model] = seconds + passed_s
