"""How a caller wants its work done: what the headers Prefer (RFC 7240), Idempotency-Key and Result-TTL ask for."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from jobs.errors import InvalidInput
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings

_MAX_KEY_CHARACTERS = 255

# Commas and semicolons separate preferences and parameters, but not inside a quoted string.
_PREFERENCE = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*")+')
_HEAD = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*")+')

_LONGEST_WAIT_S = 10**9

LONGEST_TTL_S = 31 * 24 * 3600
"""A month: what is kept longer belongs into a store of the caller's."""


class Terms(NamedTuple):
    """How the work of one request is to be done."""

    options: SubmitOptions
    wait_s: float | None
    """How long the caller waits for the result, or for the start of a stream. None: not at all."""
    respond_async: bool
    """Whether the caller gets the job's id when the wait is over."""

    @property
    def keyed(self) -> bool:
        """Whether the job has an Idempotency-Key: the same request, sent again, finds it."""
        return self.options.idempotency_key is not None

    @property
    def cancels(self) -> bool:
        """Whether the job ends with the wait: after a timeout, and when the caller disconnects."""
        return not (self.keyed or self.respond_async)


class Prefer(NamedTuple):
    """The preferences that are read here; a request may state others."""

    respond_async: bool = False
    wait_s: int | None = None
    """Whole seconds that the caller is ready to wait. None: not said."""


NO_PREFERENCE = Prefer()


def terms_of(request: Request, settings: Settings) -> Terms:
    """Reads the request's headers. Raises InvalidInput for an unusable Idempotency-Key or Result-TTL."""
    prefer = parse_prefer(request.headers.getlist("prefer"))
    key, ttl_s = idempotency_key(request), result_ttl_s(request)
    wait_s = settings.wait_s if prefer.wait_s is None else min(prefer.wait_s, settings.wait_s)
    if not prefer.respond_async:
        options = _sync_options(settings, wait_s, key)
        return Terms(_kept_for(options, ttl_s), wait_s, respond_async=False)
    stated = None if prefer.wait_s is None else wait_s
    return Terms(_kept_for(async_options(settings, key), ttl_s), stated, respond_async=True)


def now_terms_of(request: Request, settings: Settings) -> Terms:
    """Of work whose caller has to wait: its result is not shown as a job. Raises InvalidInput as `terms_of` does."""
    terms = terms_of(request, settings)
    if terms.respond_async:
        raise InvalidInput(
            "Prefer: respond-async is not for this path, whose answer comes at once.", param="Prefer"
        )
    return terms


def async_options(settings: Settings, key: str | None) -> SubmitOptions:
    """The options of a job whose caller does not wait and asks for nothing else."""
    return SubmitOptions(
        lane=Lane.DEFAULT,
        time_limit_s=settings.time_limit_s,
        result_ttl_s=settings.result_ttl_s,
        idempotency_key=key,
    )


def idempotency_key(request: Request) -> str | None:
    """None where the request has none. Raises InvalidInput where the header is empty or too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= _MAX_KEY_CHARACTERS:
        raise InvalidInput(
            f"Idempotency-Key must have 1 to {_MAX_KEY_CHARACTERS} characters.", param="Idempotency-Key"
        )
    return key


def result_ttl_s(request: Request) -> int | None:
    """How long the result is kept; None where the request does not say it. Raises InvalidInput for no such number."""
    text = request.headers.get("result-ttl")
    if text is None:
        return None
    seconds = _seconds(text.strip())
    if seconds is None or not 1 <= seconds <= LONGEST_TTL_S:
        raise InvalidInput(
            f"Result-TTL must be a whole number of seconds from 1 to {LONGEST_TTL_S:,}.", param="Result-TTL"
        )
    return seconds


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


def _kept_for(options: SubmitOptions, ttl_s: int | None) -> SubmitOptions:
    return options if ttl_s is None else msgspec.structs.replace(options, result_ttl_s=ttl_s)


def _sync_options(settings: Settings, wait_s: float, key: str | None) -> SubmitOptions:
    # Without a key nobody can ask again, so neither the job's wait nor its result needs to outlive the caller.
    keyed = key is not None
    return SubmitOptions(
        lane=Lane.INTERACTIVE,
        time_limit_s=settings.time_limit_s,
        ttl_s=None if keyed else max(1, math.ceil(wait_s)),
        result_ttl_s=settings.result_ttl_s if keyed else settings.sync_result_ttl_s,
        idempotency_key=key,
        awaited=True,
    )
