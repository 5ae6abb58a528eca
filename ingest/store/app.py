"""The subset of Qdrant's REST API that the store answers, as an ASGI application."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import msgspec
from pydantic import ValidationError
from qdrant_client import models
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingest.qdrant.packed import PACKED
from ingest.store import replies
from ingest.store.catalog import Catalog
from ingest.store.operations import Operation, operation
from ingest.store.refused import BAD_REQUEST, INTERNAL, Refused, not_here
from ingest.store.turns import SEARCH, WRITE, Turns
from ingest.store.upkeep.idle import Upkeep
from jobs.process.cancelling import cancel_and_wait

log = logging.getLogger(__name__)

VERSION = "1.19.0"
"""Of the API that this is a subset of; clients compare it with their own."""

MAX_BODY_BYTES = 32 << 20
"""Largest body; a Qdrant server's own limit."""

METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]


class StoreApp:
    """The application of one catalog, whose collections it opens at its start and closes at its end."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._turns = Turns()
        self._upkeep = Upkeep(catalog, self._turns)
        self._written = 0
        self.app = Starlette(
            routes=[
                Route("/", self._about),
                Route("/healthz", _healthy),
                Route("/readyz", _healthy),
                Route("/livez", _healthy),
                Route("/collections", self._names),
                Route("/aliases", self._aliases),
                Route("/collections/aliases", self._change_aliases, methods=["POST"]),
                Route("/collections/{name}", self._one, methods=METHODS),
                Route("/collections/{name}/exists", self._exists),
                Route("/collections/{name}/aliases", self._aliases),
                Route("/collections/{name}/{path:path}", self._operate, methods=METHODS),
                Route("/{path:path}", self._elsewhere, methods=METHODS),
            ],
            exception_handlers={ClientDisconnect: _client_closed_request},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        await self._turns.run(self._catalog.open, SEARCH)
        upkeep = asyncio.create_task(self._upkeep.run())
        yield
        await cancel_and_wait(upkeep)
        await self._turns.run(self._catalog.close, WRITE)
        self._turns.end()

    async def _about(self, _: Request) -> Response:
        about = {"title": "qdrant - vector search engine", "version": VERSION, "commit": "embedded"}
        return Response(msgspec.json.encode(about), media_type="application/json")

    async def _names(self, request: Request) -> Response:
        return await self._answer(
            request, lambda: {"collections": [{"name": name} for name in self._catalog.names()]}
        )

    async def _aliases(self, request: Request) -> Response:
        name = request.path_params.get("name")

        def aliases() -> dict[str, Any]:
            found = self._catalog.aliases(None if name is None else self._catalog.find(name).name)
            return {
                "aliases": [{"alias_name": each, "collection_name": found[each]} for each in sorted(found)]
            }

        return await self._answer(request, aliases)

    async def _change_aliases(self, request: Request) -> Response:
        body = await request.body()

        def change() -> bool:
            self._catalog.change_aliases(models.ChangeAliasesOperation.model_validate_json(body).actions)
            return True

        return await self._answer(request, change)

    async def _exists(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await self._answer(request, lambda: {"exists": self._catalog.exists(name)})

    async def _one(self, request: Request) -> Response:
        name, body = request.path_params["name"], await request.body()

        def create() -> bool:
            self._catalog.create(name, models.CreateCollection.model_validate_json(body))
            return True

        def change() -> bool:
            raise not_here("changes to a collection: make another one")

        calls: dict[str, Callable[[], Any]] = {
            "GET": lambda: replies.collection_info(self._catalog.find(name)),
            "PUT": create,
            "DELETE": lambda: self._catalog.remove(name),
        }
        return await self._answer(request, calls.get(request.method, change))

    async def _operate(self, request: Request) -> Response:
        name, path = request.path_params["name"], request.path_params["path"]
        if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
            return _failure(
                413, f"The body is larger than {MAX_BODY_BYTES} bytes: send fewer points at a time."
            )
        body = await request.body()
        try:
            found = operation(request.method, path, request.headers.get("content-type", ""))
        except Refused as refused:
            return _failure(refused.status, f"{refused}")

        def run() -> Any:
            collection = self._catalog.find(name)
            result = found.run(collection, body)
            if not found.is_write:
                return result
            self._upkeep.wrote(collection, found.run, body)
            return self._written_reply(found, result)

        if not found.is_write:
            return await self._answer(request, run)
        reply = await self._answer(request, run, WRITE)
        self._upkeep.wake()
        return reply

    def _written_reply(self, found: Operation, result: Any) -> Any:
        def one() -> dict[str, Any]:
            self._written += 1
            return {"operation_id": self._written, "status": "completed"}

        count = len(cast("list[Any]", result)) if isinstance(result, list) else None
        return one() if count is None else [one() for _ in range(count)]

    async def _elsewhere(self, request: Request) -> Response:
        refused = not_here(f"{request.method} {request.url.path}")
        return _failure(refused.status, f"{refused}")

    async def _answer(self, request: Request, call: Callable[[], Any], priority: int = SEARCH) -> Response:
        begun = time.perf_counter()
        packs = PACKED in request.headers.get("accept", "")

        def run() -> bytes:
            body = {"result": call(), "status": "ok", "time": time.perf_counter() - begun}
            if packs:
                return msgspec.msgpack.encode(body, enc_hook=replies.as_packed)
            return msgspec.json.encode(body, enc_hook=replies.as_json)

        try:
            content = await self._turns.run(run, priority)
        except Refused as refused:
            return _failure(refused.status, f"{refused}")
        except ValidationError as error:
            return _failure(BAD_REQUEST, f"Format error in JSON body: {_first(error)}")
        except msgspec.MsgspecError as error:
            return _failure(BAD_REQUEST, f"Format error in msgpack body: {error}")
        except Exception as error:
            if _is_callers_fault(error):
                return _failure(BAD_REQUEST, f"Bad request: {error}")
            log.exception("a request failed", extra={"path": request.url.path})
            return _failure(INTERNAL, "Service internal error: the store's log says more.")
        return Response(content, media_type=PACKED if packs else "application/json")


def _is_callers_fault(error: Exception) -> bool:
    """qdrant-edge raises Exception and ValueError for everything; what is its own fault begins with Service."""
    return type(error) in (Exception, ValueError) and not f"{error}".startswith("Service")


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("healthz check passed")


async def _client_closed_request(request: Request, error: Exception) -> Response:
    """Of a client that was killed while it sent: nobody reads it, and it is no error of ours."""
    return Response(status_code=499)


def _failure(status: int, message: str) -> Response:
    content = msgspec.json.encode({"status": {"error": message}, "time": 0.0})
    return Response(content, status_code=status, media_type="application/json")


def _first(error: ValidationError) -> str:
    """Of all the ways in which a body could not be read, the one that got furthest."""
    worst = max(error.errors(include_url=False, include_input=False), key=lambda each: len(each["loc"]))
    return f"{'.'.join(str(part) for part in worst['loc'])}: {worst['msg']}"
