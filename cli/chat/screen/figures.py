"""How long an answer took."""

from collections.abc import Iterator

import msgspec

_NS = 1_000_000_000


class Figures(msgspec.Struct, frozen=True):
    """Durations are nanoseconds."""

    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0

    def lines(self) -> Iterator[str]:
        """As Ollama's --verbose prints them."""
        for name, value in (
            ("total duration", _duration(self.total_duration)),
            ("load duration", _duration(self.load_duration)),
            ("prompt eval count", f"{self.prompt_eval_count} token(s)"),
            ("prompt eval duration", _duration(self.prompt_eval_duration)),
            ("prompt eval rate", _rate(self.prompt_eval_count, self.prompt_eval_duration)),
            ("eval count", f"{self.eval_count} token(s)"),
            ("eval duration", _duration(self.eval_duration)),
            ("eval rate", _rate(self.eval_count, self.eval_duration)),
        ):
            yield f"{name + ':':<21} {value}"


def _duration(ns: int) -> str:
    return f"{ns / _NS:.3f}s" if ns >= _NS else f"{ns / 1e6:.3f}ms"


def _rate(count: int, ns: int) -> str:
    return f"{count * _NS / ns:.2f} tokens/s" if ns else "-"
