"""Numbers as people read them."""


def told_count(count: int, noun: str, plural: str = "") -> str:
    """1 page, 1,204 pages."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def told_bytes(size: float) -> str:
    """In the units of disks: 1 MB is a million bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def told_time(seconds: float) -> str:
    """45 s, 2 min 10 s, 3 h 5 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def told_rate(per_s: float, unit: str) -> str:
    """38 pages/s, 3.8 pages/s, 0.38 pages/s."""
    digits = 0 if per_s >= 10 else 1 if per_s >= 1 else 2
    return f"{per_s:,.{digits}f} {unit}/s"
