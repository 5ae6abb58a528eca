"""A URL that a caller named: read in one way only, and shown without what may be secret in it."""

import re
from ipaddress import IPv4Address, IPv6Address

import httpx2

_SCHEMES = ("http", "https")
_NAME = re.compile(r"(?=.{1,253}\.?$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
# A host whose last part is a number is an IPv4 address to browsers and to C libraries, in whatever form
# (WHATWG's URL standard, "ends in a number").
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_MAX_PORT = 65_535
_MAX_SHOWN = 200

_GIVE_ANOTHER = "Give a URL that begins with http:// or https://, or send the content itself, as base64."


class CannotFetch(Exception):
    """Why a URL cannot be fetched, and what the caller can do about it, in sentences for the caller."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def read_url(text: str, base: httpx2.URL | None = None) -> httpx2.URL:
    """The URL `text`, or the one that `text` means on the page `base`. Nothing is looked up.

    Raises: CannotFetch for all but http and https, for credentials, and for hosts in any unusual form.
    """
    try:
        url = httpx2.URL(text) if base is None else base.join(text)
    except (httpx2.InvalidURL, ValueError) as error:
        raise CannotFetch(f"This is not a valid URL. {_GIVE_ANOTHER}") from error
    if url.scheme not in _SCHEMES:
        raise CannotFetch(
            f"A URL like this ({url.scheme[:20] or 'no'} scheme) is not fetched. {_GIVE_ANOTHER}"
        )
    if url.userinfo:
        raise CannotFetch(
            f"{shown(url)} came with a user name or password. Leave everything before the @ out."
        )
    if url.port is not None and not 1 <= url.port <= _MAX_PORT:
        raise CannotFetch(f"{shown(url)} has a port that does not exist. Use one from 1 to {_MAX_PORT}.")
    if not _is_host(url.raw_host.decode("ascii")):
        raise CannotFetch(
            f"{shown(url)} has an unusual host. Use a name, an IPv4 address of four decimal numbers, "
            "or an IPv6 address in brackets."
        )
    return url


def shown(url: httpx2.URL) -> str:
    """Scheme, host, port and path, cut where they are long: a query may hold a signature, a user part a password."""
    path = url.raw_path.partition(b"?")[0].decode("ascii")
    text = f"{url.scheme}://{url.netloc.decode('ascii')}{path}"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _is_host(host: str) -> bool:
    if ":" in host:
        return "%" not in host and _is_address(host, IPv6Address)
    if _NUMBER.fullmatch(host) is not None:
        return _is_address(host, IPv4Address)
    return _NAME.fullmatch(host) is not None


def _is_address(host: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        kind(host)
    except ValueError:
        return False
    return True
