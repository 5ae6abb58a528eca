# pyright: reportUnknownMemberType=false
"""Redis URLs: which are refused, and what may be shown of one. Its user part and its options are secrets."""

import re

import redis

_PARTS = re.compile(r"(redis|rediss|unix)://([^/?#]*)(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@\s]*)(?::([0-9]{1,5})?)?")
_DATABASE = re.compile(r"/?[0-9]*/?")
_SAID = re.compile(r"(rediss?|unix):/.*", re.IGNORECASE | re.DOTALL)

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
        raise ValueError("Not a Redis URL: it begins with redis://, rediss:// or unix://")
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
    elif "@" in tail or not _is_address(address) or not _DATABASE.fullmatch(path):
        raise ValueError(f"Not a Redis URL, which is redis://user:password@host:port/number. {_ENCODE}")
    _try(url)
    return url


def shown_url(url: str) -> str:
    """Where it leads: without user, password and options; only the scheme of a URL that is refused."""
    try:
        url = checked_url(url)
    except ValueError:
        scheme = re.match(r"(rediss?|unix)://", url.strip())
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


def _try(url: str) -> None:
    """What redis-py says itself may quote the URL."""
    try:
        redis.ConnectionPool.from_url(url).make_connection()  # connects nowhere
    except Exception:  # noqa: BLE001 - ValueError, TypeError and others, which may all quote it
        raise ValueError(
            f"Redis's client cannot use this URL: see the options after its ?. {_ENCODE}"
        ) from None
