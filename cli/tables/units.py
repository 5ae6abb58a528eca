"""Sizes and times in words, as Ollama has them."""

from datetime import UTC, datetime, timedelta

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))
_FOREVER = timedelta(days=20 * 365)

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def size(size_bytes: int) -> str:
    """As 812 B, 4.1 MB, 23 GB; `-` where it is not known, which is 0."""
    if size_bytes <= 0:
        return "-"
    for unit, name in _UNITS:
        if size_bytes >= unit:
            value = size_bytes / unit
            is_short = value >= 10 or size_bytes % unit == 0
            return f"{int(value)} {name}" if is_short else f"{value:.1f} {name}"
    return f"{size_bytes} B"


def age(moment: datetime, now: datetime) -> str:
    """As `3 weeks ago`, `4 minutes from now`."""
    delta = now - moment
    if delta >= timedelta():
        return f"{duration(delta)} ago"
    if -delta > _FOREVER:
        return "Forever"
    return f"{duration(-delta)} from now"


def duration(delta: timedelta) -> str:
    """The largest unit in which it is more than one."""
    seconds = int(delta.total_seconds())
    if seconds < 1:
        return "Less than a second"
    if seconds < 2 * _HOUR - _HOUR // 2 and seconds >= _HOUR:
        return "About an hour"
    if _MINUTE <= seconds < 2 * _MINUTE:
        return "About a minute"
    if _HOUR <= seconds < 2 * _DAY:
        return _counted((seconds + _HOUR // 2) // _HOUR, "hour")  # the nearest, as Ollama has it
    for limit, unit, name in (
        (_MINUTE, 1, "second"),
        (_HOUR, _MINUTE, "minute"),
        (14 * _DAY, _DAY, "day"),
        (60 * _DAY, 7 * _DAY, "week"),
        (730 * _DAY, 30 * _DAY, "month"),
    ):
        if seconds < limit:
            return _counted(seconds // unit, name)
    return _counted(seconds // (365 * _DAY), "year")


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def moment(text: str) -> datetime:
    """Of an RFC 3339 time with up to nine digits of a second. Raises ValueError."""
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = f"{head}.{digits[:6]:0<6}{rest[len(digits) :]}"
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
