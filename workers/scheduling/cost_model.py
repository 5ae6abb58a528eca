"""What device work costs, learned from what it did: seconds = launch + per token * tokens."""


class CostModel:
    """A straight line through the latest measurements; older ones fade. Pure: fed with numbers, asked for numbers."""

    def __init__(self, fade: float = 0.97) -> None:
        """fade: weight of a measurement after the next one; with 0.97, about the last thirty count."""
        self._fade = fade
        self._weight = self._tokens = self._seconds = self._squares = self._products = 0.0

    def observe(self, tokens: int, seconds: float) -> None:
        """tokens: padded tokens of a piece of work. seconds: how long it took."""
        self._weight = self._weight * self._fade + 1
        self._tokens = self._tokens * self._fade + tokens
        self._seconds = self._seconds * self._fade + seconds
        self._squares = self._squares * self._fade + tokens * tokens
        self._products = self._products * self._fade + tokens * seconds

    def predict(self, tokens: int) -> float:
        """Seconds that so many tokens will take; 0.0 before anything was measured."""
        launch, per_token = self._line()
        return launch + per_token * tokens

    def tokens_within(self, seconds: float) -> int:
        """The most tokens that fit into the time; without limit before anything was measured, at least 0."""
        launch, per_token = self._line()
        if per_token <= 0:
            return 1 << 30 if seconds >= launch else 0
        return max(0, int((seconds - launch) / per_token))

    @property
    def is_one_sided(self) -> bool:
        """Whether all measurements are of one size: the launch and the tokens cannot be told apart then."""
        tokens = self._tokens / self._weight if self._weight else 0.0
        return self._weight > 0 and self._spread() < 1e-9 + 1e-3 * tokens * tokens

    def free_tokens(self) -> int:
        """So many cost a quarter of the launch: fewer would hardly be done sooner."""
        launch, per_token = self._line()
        return int(launch / 4 / per_token) if per_token else 0

    def _spread(self) -> float:
        tokens = self._tokens / self._weight
        return self._squares / self._weight - tokens * tokens

    def _line(self) -> tuple[float, float]:
        """(launch, per token), neither below zero."""
        if not self._weight:
            return 0.0, 0.0
        tokens, seconds = self._tokens / self._weight, self._seconds / self._weight
        if self.is_one_sided:
            return 0.0, seconds / tokens if tokens else 0.0
        per_token = (self._products / self._weight - tokens * seconds) / self._spread()
        per_token = min(max(per_token, 0.0), seconds / tokens)
        return seconds - per_token * tokens, per_token
