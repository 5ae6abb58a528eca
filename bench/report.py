"""How figures are gathered and printed."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line: what was measured, and its figures by name."""

    what: str
    figures: dict[str, float]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def quantile_ms(latencies_s: Sequence[float], quantile: float) -> float:
    ordered = sorted(latencies_s)
    return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] * 1e3


def show(title: str, rows: Sequence[Row]) -> None:
    """A section, at once: a bench that is stopped has printed what it measured."""
    print(f"\n{title}")
    for row in rows:
        figures = "  ".join(f"{name} {_short(value)}" for name, value in row.figures.items())
        print(f"  {row.what:<34} {figures}", flush=True)


def _short(value: float) -> str:
    if 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2f}"
