"""Bodies and queries: read within limits (of one, and of all together), decoded strictly, refused by the field."""

import re
from typing import NoReturn, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from api.errors import BodyTooLarge
from api.requests.coercion import decode_coerced
from api.requests.content_coding import decompressed
from api.requests.parameters import refuse_unbuilt
from jobs.errors import InvalidInput, Overloaded

T = TypeVar("T")

MAX_MESSAGE_CHARACTERS = 1_000

# msgspec ends a message with the path: "... - at `$.input[3]`"; for a key, "... - at `key` in `$.metadata`".
_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`\Z")
_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")

_ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)

_HELD = "mlxq.held_body"
"""Key of the ASGI scope: the request's HeldBody."""


class BodiesInFlight:
    """Bounds a process's memory for bodies: of all that are being read, or whose work is being done.

    One per process. limit_bytes: of all bodies together; a body that is alone is never refused.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.bytes = 0

    def hold(self, request: Request, size_bytes: int) -> None:
        """So much more of the request's body has been read. Raises Overloaded."""
        held: _HeldBody = request.scope.setdefault(_HELD, _HeldBody(self))
        others_bytes = self.bytes - held.bytes
        if others_bytes and self.bytes + size_bytes > self._limit_bytes:
            raise Overloaded(
                f"The bodies of requests that are being answered have {others_bytes} bytes already, and this process"
                f" takes {self._limit_bytes} at most. Try again in 1 s.",
            )
        held.bytes += size_bytes
        self.bytes += size_bytes


class _HeldBody:
    def __init__(self, bodies: BodiesInFlight) -> None:
        self.bodies = bodies
        self.bytes = 0


def release_body(request: Request) -> None:
    """The request's work is done, or goes on without its body."""
    held: _HeldBody | None = request.scope.pop(_HELD, None)
    if held:
        held.bodies.bytes -= held.bytes


async def read_body(request: Request, limit_bytes: int, bodies: BodiesInFlight) -> bytes:
    """The whole body, decompressed.

    Raises BodyTooLarge above the limit, as it came or decompressed, Overloaded where all bodies together are too much,
    InvalidInput where it is not in the coding that it says, and ClientDisconnect where the caller disconnected.
    """
    raw = await _read_raw(request, limit_bytes, bodies)
    coding = request.headers.get("content-encoding")
    if coding is None:
        return raw
    pieces: list[bytes] = []
    size_bytes = 0
    for piece in decompressed(raw, coding):
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        bodies.hold(request, len(piece))
        pieces.append(piece)
    return b"".join(pieces)


async def _read_raw(request: Request, limit_bytes: int, bodies: BodiesInFlight) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit_bytes):
        raise _too_large(limit_bytes)
    chunks: list[bytes] = []
    size_bytes = 0
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        bodies.hold(request, len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def decode_body(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    """The body as the decoder's type; it may be written as `decode_coerced` has it.

    Raises InvalidInput, with `param` where one field is at fault, or is not built and asks for something.
    """
    decoded = _decoded(decoder, raw)
    refuse_unbuilt(decoded)
    return decoded


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    try:
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as refusal:
            return decode_coerced(decoder, raw, refusal)
    except msgspec.ValidationError as error:
        _refuse(error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The body is not valid JSON: {_half_character(raw) or error}.") from error
    except RecursionError as error:
        raise InvalidInput("The body is nested too deeply.") from error


def check_text(raw: bytes) -> None:
    """Raises InvalidInput where the body is not UTF-8, which a decoder does not notice in what it leaves as it is."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not valid JSON: {error}.") from error


def decode_query(request: Request, shape: type[T]) -> T:
    """The query string as a `shape`, numbers read from text. Raises InvalidInput naming the parameter."""
    try:
        query = msgspec.convert(dict(request.query_params), shape, strict=False)
    except msgspec.ValidationError as error:
        _refuse(error)
    refuse_unbuilt(query)
    return query


def clipped(message: str) -> str:
    """A message of msgspec's, without its middle if it is long: it may quote a whole field of the body."""
    half = MAX_MESSAGE_CHARACTERS // 2
    return message if len(message) <= 2 * half else f"{message[:half]}…{message[-half:]}"


def _half_character(raw: bytes) -> str | None:
    """What is wrong with a surrogate that stands alone, if one does: the decoder misses what should follow it."""
    firsts, seconds = dict[int, int](), dict[int, int]()  # by where the pair's other half begins
    for escape in _ESCAPE.finditer(raw):
        code = int(escape[1], 16) if escape[1] else 0
        if 0xD800 <= code <= 0xDBFF:
            firsts[escape.end()] = escape.start()
        elif 0xDC00 <= code <= 0xDFFF:
            seconds[escape.start()] = escape.start()
    alone = [*(firsts[key] for key in firsts.keys() - seconds), *(seconds.keys() - firsts)]
    if not alone:
        return None
    at = min(alone)
    return f"the escape {raw[at : at + 6].decode()} at byte {at} is half of a character"


def _refuse(error: msgspec.ValidationError) -> NoReturn:
    message = clipped(str(error))
    match = _PATH.search(message)
    what, path = (message[: match.start()], match["path"]) if match else (message, None)
    missing = _MISSING.fullmatch(what)
    if missing:
        name = f"{path}.{missing['name']}" if path else missing["name"]
        raise InvalidInput(f"Missing field: {name}.", param=name) from error
    if not path:
        raise InvalidInput(f"{what}.") from error
    raise InvalidInput(f"{path}: {what}.", param=_top(path)) from error


def _top(path: str) -> str:
    """The field of the body in which a path begins."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit_bytes} bytes.")
