"""Bounds the memory of a process for request bodies: of all that are being read, or whose work is being done."""

from starlette.requests import Request

from jobs.errors import Overloaded

_HELD = "mlxq.held_body"
"""Key of the ASGI scope: the request's HeldBody."""


class BodiesInFlight:
    """One per process. limit_bytes: of all bodies together; a body that is alone is never refused."""

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
