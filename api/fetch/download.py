"""Downloads over httpcore: redirects, statuses, sizes and times. Whom to connect to is checked_backend's question."""

import asyncio
import ssl

import httpcore2
import httpx2

from api.fetch.checked_backend import CheckedBackend, HostRefused, HostUnknown
from api.fetch.fetch_url import CannotFetch, read_url, shown

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
# For each address of a host: one that does not answer leaves time for the next.
_CONNECT_TIMEOUT_S = 3.0
_HEADERS = {
    b"User-Agent": b"mlxq",
    b"Accept": b"*/*",
    b"Accept-Encoding": b"identity",  # what is not unpacked cannot grow
    b"Connection": b"close",
}
_SEND_IT = "Send the content itself, as base64."


class Redirect(Exception):
    """The answer is elsewhere."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(location)


class Downloader:
    """Each request has a connection of its own: nothing of one caller's host is there for the next caller."""

    def __init__(self, backend: CheckedBackend, *, max_bytes: int, timeout_s: float) -> None:
        self._backend = backend
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._ssl_context = httpcore2.default_ssl_context()

    async def download(self, text: str) -> bytes:
        """What the URL `text` leads to. Raises CannotFetch."""
        url = read_url(text)
        first = name = shown(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                for _ in range(_MAX_REDIRECTS + 1):
                    try:
                        return await self._ask(url, name)
                    except Redirect as redirect:
                        url = _follow(redirect, url, first)
                        name = f"{first} (redirected to {shown(url)})"
        except TimeoutError as error:
            raise CannotFetch(
                f"{name} took longer than {self._timeout_s:g} s. Use a faster host. {_SEND_IT}"
            ) from error
        raise CannotFetch(f"{first} redirects more than {_MAX_REDIRECTS} times. Name the last URL itself.")

    async def _ask(self, url: httpx2.URL, name: str) -> bytes:
        """One request, no redirect followed. Raises Redirect, CannotFetch."""
        try:
            return await self._request(url, name)
        except HostRefused as error:
            raise CannotFetch(
                f"{name} is not fetched: its host is not on the public internet. {_SEND_IT} "
                "Or have the operator allow the host (MLXQ_FETCH_ALLOW)."
            ) from error
        except HostUnknown as error:
            raise CannotFetch(
                f"{name} cannot be fetched: its host's name has no address. Check it."
            ) from error
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise CannotFetch(f"{name} cannot be fetched: {_no_connection(error)} {_SEND_IT}") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            # OSError: of TLS, while reading
            raise CannotFetch(
                f"{name} cannot be fetched: its host broke off or did not speak HTTP. Try again. {_SEND_IT}"
            ) from error

    async def _request(self, url: httpx2.URL, name: str) -> bytes:
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        async with (
            httpcore2.AsyncHTTPConnection(
                target.origin, ssl_context=self._ssl_context, network_backend=self._backend
            ) as connection,
            connection.stream(
                "GET",
                target,
                headers={b"Host": url.netloc, **_HEADERS},
                extensions={"timeout": {"connect": _CONNECT_TIMEOUT_S}},
            ) as response,
        ):
            self._check(response, name)
            return await self._read(response, name)

    def _check(self, response: httpcore2.Response, name: str) -> None:
        headers = {key.lower(): value for key, value in response.headers}
        if response.status in _REDIRECTS and b"location" in headers:
            raise Redirect(headers[b"location"].decode("utf-8", "replace"))
        if response.status != 200:
            raise CannotFetch(
                f"{name} cannot be fetched: its host answered with status {response.status}. "
                f"Check that anybody may open it. {_SEND_IT}"
            )
        if any(
            key.lower() == b"content-encoding" and value.lower() != b"identity"
            for key, value in response.headers
        ):
            raise CannotFetch(f"{name} came compressed, though that was not asked for. {_SEND_IT}")
        if int(headers.get(b"content-length", b"0")) > self._max_bytes:
            raise self._too_large(name)

    async def _read(self, response: httpcore2.Response, name: str) -> bytes:
        chunks: list[bytes] = []
        size_bytes = 0
        async for chunk in response.aiter_stream():
            size_bytes += len(chunk)
            if size_bytes > self._max_bytes:
                raise self._too_large(name)
            chunks.append(chunk)
        return b"".join(chunks)

    def _too_large(self, name: str) -> CannotFetch:
        return CannotFetch(f"{name} is larger than {self._max_bytes:,} bytes. Use a smaller one.")


def _follow(redirect: Redirect, base: httpx2.URL, first: str) -> httpx2.URL:
    try:
        return read_url(redirect.location, base)
    except CannotFetch as error:
        raise CannotFetch(f"{first} redirects. {error.message}") from error


def _no_connection(error: Exception) -> str:
    """httpcore wraps the error that says more."""
    match error.args:
        case (ssl.SSLCertVerificationError(verify_message=reason), *_):
            return f"its host's certificate is not valid ({reason})."
        case (ssl.SSLError(), *_):
            return "its host failed to make a safe connection (TLS)."
        case _:
            return "its host cannot be connected to."
