# pyright: reportUnknownMemberType=false
"""Redis URLs: which are refused, and what may be shown of one. Its user part and its options are secrets."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import redis

SENTINEL_PORT = 26379
"""Where sentinels listen by default."""

_SCHEMES = r"(rediss?(?:\+sentinel)?|unix)"
_PARTS = re.compile(rf"{_SCHEMES}://([^/?#]*)(.*)", re.DOTALL)
_SERVICE = re.compile(r"/([\w.-]+)(/[0-9]*)?/?")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@\s]*)(?::([0-9]{1,5})?)?")
_DATABASE = re.compile(r"/?[0-9]*/?")
_SAID = re.compile(rf"{_SCHEMES}:/.*", re.IGNORECASE | re.DOTALL)

_ENCODE = (
    "If a password or user name has characters such as # / ? @ : [ ] %, percent-encode them: "
    "%23 %2F %3F %40 %3A %5B %5D %25."
)


def checked_url(url: str) -> str:
    """The URL without the white space around it, once it is sure that redis-py reads it as it was meant: where a
    password is not percent-encoded, its parts become host, port or path, which errors name.

    Raises: ValueError, which says what is wrong and quotes nothing of the URL.
    """
    url = url.strip()
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise ValueError("Not a Redis URL: it begins with redis://, rediss://, unix:// or redis+sentinel://")
    scheme, authority, tail = parts.groups()
    user, mark, address = authority.rpartition("@")
    if "#" in tail or any(character in user for character in "[]\t\r\n"):
        raise ValueError(f"Not a Redis URL. {_ENCODE}")
    path, _, _ = tail.partition("?")
    if scheme == "unix":
        if address or ("@" in tail and mark) or path in ("", "/"):
            raise ValueError(
                f"Not the URL of a socket, which is unix:///path or unix://user:password@/path. {_ENCODE}"
            )
    elif scheme.endswith("+sentinel"):
        if "@" in tail or not all(map(_is_address, address.split(","))) or not _SERVICE.fullmatch(path):
            raise ValueError(
                "Not the URL of a service of sentinels, which is "
                f"redis+sentinel://user:password@host:port,host:port/service/number. {_ENCODE}"
            )
    elif "@" in tail or not _is_address(address) or not _DATABASE.fullmatch(path):
        raise ValueError(f"Not a Redis URL, which is redis://user:password@host:port/number. {_ENCODE}")
    _try(url)
    return url


class SentinelUrl(NamedTuple):
    """What a URL says of a service of sentinels."""

    sentinels: tuple[tuple[str, int], ...]
    """Host and port of each."""
    service: str
    server: str
    """The URL of a Redis with this user, database and options. Its host is a sentinel's and means nothing."""
    sentinel_username: str | None
    sentinel_password: str | None


def sentinel_url(url: str) -> SentinelUrl | None:
    """The parts of a URL that `checked_url` has passed; None where it leads to a Redis itself."""
    parts = _PARTS.fullmatch(url.strip())
    if parts is None or not parts[1].endswith("+sentinel"):
        return None
    scheme, authority, tail = parts.groups()
    user, mark, addresses = authority.rpartition("@")
    path, _, query = tail.partition("?")
    service = _SERVICE.fullmatch(path)
    if service is None:
        raise ValueError("Not the URL of a service of sentinels.")
    options = dict(parse_qsl(query, keep_blank_values=True))
    username, password = options.pop("sentinel_username", None), options.pop("sentinel_password", None)
    first = addresses.split(",")[0]
    server = f"{scheme.removesuffix('+sentinel')}://{user}{mark}{first}{service[2] or ''}"
    return SentinelUrl(
        sentinels=tuple(_address(each) for each in addresses.split(",")),
        service=service[1],
        server=f"{server}?{urlencode(options)}" if options else server,
        sentinel_username=username,
        sentinel_password=password,
    )


def shown_url(url: str) -> str:
    """Where it leads: without user, password and options; only the scheme of a URL that is refused."""
    try:
        url = checked_url(url)
    except ValueError:
        scheme = re.match(rf"{_SCHEMES}://", url.strip())
        return f"{scheme[0]}…" if scheme else "…"
    scheme, mark, rest = url.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


def hide_urls(text: str) -> str:
    """The text up to its first Redis URL: nobody knows where one with a space or a quote in its password ends."""
    return _SAID.sub(r"\1://…", text)


def _is_address(text: str) -> bool:
    found = _HOST_AND_PORT.fullmatch(text)
    return found is not None and int(found[2] or 0) <= 65535


def _address(text: str) -> tuple[str, int]:
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None:
        raise ValueError("Not the URL of a service of sentinels.")
    return found[1].strip("[]") or "localhost", int(found[2] or SENTINEL_PORT)


def _try(url: str) -> None:
    """What redis-py says itself may quote the URL."""
    try:
        of_service = sentinel_url(url)
        redis.ConnectionPool.from_url(
            of_service.server if of_service else url
        ).make_connection()  # connects nowhere
    except Exception:  # noqa: BLE001 - ValueError, TypeError and others, which may all quote it
        raise ValueError(
            f"Redis's client cannot use this URL: see the options after its ?. {_ENCODE}"
        ) from None
