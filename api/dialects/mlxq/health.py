"""How the service is: /, /health, /ready and /v1/queue/stats."""

from typing import Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.errors import ErrorReply
from api.openapi.operation import Operation, reading
from api.route import add_route
from jobs.errors import InternalError, QueueUnavailable
from jobs.stats import LaneStats, QueueStats, RedisMemory, WorkerStats


class Life(msgspec.Struct, frozen=True):
    """What /health says, always."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    status: Literal["ready", "not ready"]
    reason: str | msgspec.UnsetType = msgspec.UNSET


class Totals(msgspec.Struct, frozen=True):
    """The whole service in five figures.

    running: at least one worker is alive.
    queue_size: jobs that wait, in all queues together, those that wait for a retry included.
    max_queue_size: jobs that may wait in these queues before new ones are answered 429.
    active_requests: jobs that a worker has started and not ended.
    max_concurrency: live workers. Each drives one device with one batch (of many jobs) at a time.
    """

    running: bool
    queue_size: int
    max_queue_size: int
    active_requests: int
    max_concurrency: int


class StatsReply(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok"] = "ok"
    queue_stats: Totals
    queues: tuple[LaneStats, ...]
    workers: tuple[WorkerStats, ...]
    redis_memory: RedisMemory | None


_ALIVE = msgspec.json.encode(Life())
_RUNNING = "Ollama is running"
"""To the letter: some clients of Ollama's compare it."""
_TO_PEOPLE = "mlxq is running. Its console is at /ui, its documentation at /docs."
_ROOT = Operation("GET", "health", {200: ()}, (), file="text/plain; charset=utf-8")
_HEALTH = Operation("GET", "health", {200: (Life,)}, ())
_READY = Operation("GET", "health", {200: (Readiness,), 503: (Readiness, ErrorReply)}, (InternalError,))


class Health(Dialect):
    """/, /health, /ready and /v1/queue/stats."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/", self.root, _ROOT)
        add_route(app, "/health", self.health, _HEALTH)
        add_route(app, "/ready", self.ready, _READY)
        add_route(app, "/v1/queue/stats", self.queue_stats, reading("health", StatsReply))

    async def root(self, request: Request) -> Response:
        """Something answers at this address: what Ollama's clients, and others, ask first.

        Browsers are told where people find what.
        """
        is_browser = "text/html" in request.headers.get("accept", "")
        return Response(
            _TO_PEOPLE if is_browser else _RUNNING, media_type="text/plain", headers={"Vary": "Accept"}
        )

    async def health(self, request: Request) -> Response:
        """This process is alive; says nothing about Redis or workers."""
        return json_response(_ALIVE)

    async def ready(self, request: Request) -> Response:
        """Work sent now would be done: Redis answers, and a worker has lately been alive. Otherwise 503."""
        try:
            alive = await self.context.queue.ready()
        except QueueUnavailable as error:
            return _readiness_response(Readiness("not ready", error.message))
        return _readiness_response(Readiness("ready") if alive else Readiness("not ready", "No live worker."))

    async def queue_stats(self, request: Request) -> Response:
        """Totals, every queue, every live worker."""
        stats = await self.context.queue.stats()
        reply = StatsReply(
            queue_stats=totals(stats, self.context.settings.queue_limit),
            queues=stats.queues,
            workers=stats.workers,
            redis_memory=stats.redis_memory,
        )
        return json_response(msgspec.json.encode(reply))


def totals(stats: QueueStats, queue_limit: int) -> Totals:
    """The figures of all queues together. queue_limit: what one queue may hold; used while there is no queue."""
    return Totals(
        running=bool(stats.workers),
        queue_size=sum(queue.queued + queue.scheduled for queue in stats.queues),
        max_queue_size=sum(queue.limit for queue in stats.queues) or queue_limit,
        active_requests=sum(queue.started for queue in stats.queues),
        max_concurrency=len(stats.workers),
    )


def _readiness_response(readiness: Readiness) -> Response:
    status = 200 if readiness.status == "ready" else 503
    return Response(msgspec.json.encode(readiness), status, media_type="application/json")
