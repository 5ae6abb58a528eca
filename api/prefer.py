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
    wait = stated.get("wait", "")
    return Prefer("respond-async" in stated, int(wait) if wait.isascii() and wait.isdecimal() else None)
