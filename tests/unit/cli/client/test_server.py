import contextlib
import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from cli.cannot_do import CannotDo
from cli.client.address import Address
from cli.client.server import NoServer, Refused, Server


class _Reply(msgspec.Struct):
    size: int


@contextlib.contextmanager
def answering(text: bytes) -> Iterator[Server]:
    """A server that answers one request with these bytes, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(text)

        thread = threading.Thread(target=answer)
        thread.start()
        yield Server(Address("http", "127.0.0.1", listener.getsockname()[1]))
        thread.join()


def reply(status: str, body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), length or len(body), body)


def test_a_reply_is_read_as_its_kind():
    with answering(reply("200 OK", b'{"size": 3, "new": 1}')) as server:
        assert server.get("/x", _Reply) == _Reply(3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "no such thing"}', "no such thing"),
        (b'{"error": {"message": "no such thing", "code": 1}}', "no such thing"),
        (b'{"detail": "no such thing"}', "no such thing"),
        (b'{"message": "no such thing"}', "no such thing"),
        (b"<html>", "answered 404 Not Found: is it mlxq?"),
        (b"[]", "answered 404 Not Found: is it mlxq?"),
    ],
)
def test_an_error_is_told_in_the_servers_words_whichever_the_dialect(body: bytes, said: str):
    with answering(reply("404 Not Found", body)) as server, pytest.raises(Refused) as refused:
        server.get("/x", _Reply)
    assert str(refused.value).endswith(said) and refused.value.status == 404


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "broke off"),
        (b"SSH-2.0-OpenSSH\r\n", "broke off"),
        (reply("200 OK", b"half", 8), "broke off"),
        (reply("200 OK", b"<html>"), "Is it mlxq?"),
        (reply("200 OK", b'{"size": "x"}'), "Is it mlxq?"),
    ],
)
def test_what_is_no_reply_of_ours_is_an_error(text: bytes, said: str):
    with answering(text) as server, pytest.raises(CannotDo, match=said):
        server.get("/x", _Reply)


def test_lines_come_until_the_stream_breaks():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with (
        answering(head + b"6\r\none\ntw\r\n2\r\no\n\r\n5\r\nthr") as server,
        server.stream("/x", {}) as lines,
    ):
        assert [next(lines), next(lines)] == [b"one\n", b"two\n"]
        with pytest.raises(CannotDo, match="broke off"):
            next(lines)


def test_without_a_server_it_is_said_how_to_start_one():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = Address("http", "127.0.0.1", closed.getsockname()[1])
    with pytest.raises(NoServer, match=r"mlxq up.*--url"):
        Server(address).get("/x", _Reply)
