"""The running server, by HTTP: a request and its reply, or a stream of lines."""

import contextlib
import http.client
import socket
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from cli.cannot_do import CannotDo
from cli.client.address import Address, server_address

if TYPE_CHECKING:
    import argparse

NOT_FOUND = 404

_CONNECT_S = 5.0
_READ_S = 30.0
"""Longest that a reply may take which needs no work of a model. The server itself bounds what a model may take."""
_MAX_QUOTED = 300

T = TypeVar("T")


class NoServer(CannotDo):
    """Nobody answers at the address."""


class Refused(CannotDo):
    """The server answered with an error, which is the message."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Server:
    """Each request has a connection of its own: a command makes few of them."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def __str__(self) -> str:
        return str(self._address)

    @property
    def is_here(self) -> bool:
        """Whether it would run on this machine."""
        return self._address.host in ("localhost", "::1") or self._address.host.startswith("127.")

    def get(self, path: str, kind: type[T]) -> T:
        """The reply as `kind`. Raises NoServer, Refused, CannotDo."""
        return self._decoded(self._reply("GET", path, None, _READ_S), path, kind)

    def post(self, path: str, body: Any, kind: type[T], *, works: bool = False) -> T:
        """The reply to a JSON body, as `kind`. works: a model has to do it, which may take as long as the server lets
        it. Raises NoServer, Refused, CannotDo.
        """
        return self._decoded(self.send("POST", path, body, works=works), path, kind)

    def send(self, method: str, path: str, body: Any, *, works: bool = False) -> bytes:
        """The reply as it is. Raises NoServer, Refused, CannotDo."""
        return self._reply(method, path, _encoded(body), None if works else _READ_S)

    @contextlib.contextmanager
    def stream(self, path: str, body: Any) -> Generator[Iterator[bytes]]:
        """The lines of a reply to a JSON body, as they come. Leaving the block ends the connection, and with it what
        the server does for it. Raises NoServer, Refused, CannotDo.
        """
        with self._sent("POST", path, _encoded(body), None) as response:
            yield self._lines(response)

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while line := response.readline():
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error

    def _reply(self, method: str, path: str, body: bytes | None, timeout_s: float | None) -> bytes:
        with self._sent(method, path, body, timeout_s) as response:
            try:
                return response.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._broken(error) from error

    @contextlib.contextmanager
    def _sent(
        self, method: str, path: str, body: bytes | None, timeout_s: float | None
    ) -> Generator[http.client.HTTPResponse]:
        secure = self._address.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._address.host, self._address.port, timeout=_CONNECT_S)
        with contextlib.closing(connection):
            self._connect(connection)
            connection.sock.settimeout(timeout_s)
            try:
                headers = {"Content-Type": "application/json"} if body is not None else {}
                connection.request(method, self._address.path + path, body, headers)
                response = connection.getresponse()
                if response.status >= 400:
                    raise Refused(self._told(response), response.status)
            except (OSError, http.client.HTTPException) as error:
                raise self._broken(error) from error
            yield response

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except OSError as error:
            raise NoServer(
                f"No server answers at {self} ({error.strerror or error}). Start one with `mlxq up`, "
                "or say where it is: --url URL, or MLXQ_HOST and MLXQ_PORT."
            ) from error

    def _broken(self, error: Exception) -> CannotDo:
        if isinstance(error, TimeoutError | socket.timeout):
            return CannotDo(f"The server at {self} does not answer.")
        return CannotDo(f"The server at {self} broke off: {type(error).__name__} {error}".rstrip() + ".")

    def _told(self, response: http.client.HTTPResponse) -> str:
        """The message of an error, in whichever dialect."""
        text = response.read(1 << 20)
        try:
            said = msgspec.json.decode(text)
        except msgspec.DecodeError:
            said = None
        found = said.get("error", said.get("detail", said.get("message"))) if isinstance(said, dict) else None  # pyright: ignore
        if isinstance(found, dict):
            found = found.get("message")  # pyright: ignore
        if isinstance(found, str) and found:
            return found
        return f"The server at {self} answered {response.status} {response.reason}: is it mlxq?"

    def _decoded(self, text: bytes, path: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError as error:
            quoted = text[:_MAX_QUOTED].decode(errors="replace")
            raise CannotDo(
                f"The server at {self} answered {path} with {quoted!r}: {error}. Is it mlxq?"
            ) from error


def _encoded(body: Any) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:  # an argument of the command line, as the system has given it
        raise CannotDo(f"{error.object!r} is no UTF-8 text.") from error


def server_of(options: "argparse.Namespace") -> Server:
    """The server that --url or the variables name. Raises CannotDo."""
    return Server(server_address(options.url))
