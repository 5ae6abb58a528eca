"""Numbers and times as people read them."""

import math
import re

from markupsafe import Markup, escape

_CODE = re.compile(r"`([^`]+)`")

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400


def number(value: float) -> str:
    """Three significant digits, and no more than are needed: 12,300, 0.0164, 12.3."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def amount(count: int, one: str, many: str = "") -> str:
    """1 page, 2,000 pages. many: where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """820 ms, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min" + (f" {whole % _MINUTE_S} s" if whole % _MINUTE_S else "")
    minutes = whole // _MINUTE_S
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def age(seconds: float) -> str:
    """just now, 5 minutes ago, 3 hours ago, 2 days ago."""
    if seconds < _MINUTE_S:
        return "just now"
    for size, unit in ((_DAY_S, "day"), (_HOUR_S, "hour"), (_MINUTE_S, "minute")):
        if seconds >= size:
            return f"{amount(int(seconds // size), unit)} ago"
    raise AssertionError(seconds)


def code(text: str) -> Markup:
    """`what stands so` as code; everything is escaped. Messages have it for commands and names."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))
