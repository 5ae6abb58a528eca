"""The Prefer header (RFC 7240): `respond-async` and `wait=N`, nothing else."""

import re
from collections.abc import Iterable
from typing import NamedTuple

# Commas and semicolons part preferences and parameters, but not inside a quoted string.
_PREFERENCE = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*")+')
_HEAD = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*")+')


class Prefer(NamedTuple):
    """wait_s: whole seconds the caller is ready to wait; None: not said."""

    respond_async: bool = False
    wait_s: int | None = None


NO_PREFERENCE = Prefer()

_LONGEST_WAIT_S = 10**9


def parse_prefer(headers: Iterable[str]) -> Prefer:
    """Reads every Prefer header of a request.

    What is unknown or malformed is ignored; of two equal names the first counts (RFC 7240, section 2).
    """
    stated: dict[str, str] = {}
    for header in headers:
        for preference in _PREFERENCE.findall(header):
            head = _HEAD.match(preference)
            name, _, value = (head[0] if head else "").partition("=")
            stated.setdefault(name.strip().lower(), value.strip().strip('"'))
    if not stated:
        return NO_PREFERENCE
    return Prefer("respond-async" in stated, _seconds(stated.get("wait", "")))


def _seconds(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= 9 else _LONGEST_WAIT_S  # int() refuses thousands of digits
