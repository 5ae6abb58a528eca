"""A small web server that misbehaves as told, a name server made of a dictionary, and a certificate."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.fetch.resolver import Resolver
from tests.support.waiting import until

Answer = bytes | Callable[[asyncio.StreamWriter], Coroutine[None, None, None]]


class Web:
    """Answers a path with raw bytes, or lets a function write; then closes.

    heads: the requests that came. connections, open: how many there were and are.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {"/": reply(b"found")}
        self.heads: list[str] = []
        self.connections = 0
        self.open = 0
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            answer = self.answers[head.split(" ")[1].partition("?")[0]]
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await _until_gone(answer(writer), reader)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller disconnected, as it may
        finally:
            self.open -= 1
            writer.close()


class Names(Resolver):
    """name: its addresses; more than one tuple of them are the answers to the 1st, 2nd, … question."""

    def __init__(self, names: dict[str, Sequence[Sequence[str]]]) -> None:
        super().__init__()
        self._answers = {name: iter(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._answers:
            raise OSError(f"{host} is not known")
        return next(self._answers[host])


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return reply(b"", f"Location: {location}", status=status)


async def never(_: asyncio.StreamWriter) -> None:
    """An answer that does not come."""
    await asyncio.Event().wait()


async def _until_gone(answer: Coroutine[None, None, None], reader: asyncio.StreamReader) -> None:
    tasks = {asyncio.create_task(answer), asyncio.create_task(reader.read())}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, Exception) and not isinstance(end, ConnectionError):
            raise end


@asynccontextmanager
async def serve(web: Web, tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    server = await asyncio.start_server(web.answer, "127.0.0.1", 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
        await until(lambda: not web.open)


def certificate(name: str, folder: Path) -> Path:
    """A file with a certificate for the name that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = folder / f"{name}.pem"
    file.write_bytes(
        signed.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file
