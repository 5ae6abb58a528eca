"""Ollama's dialect: /api/chat, /api/generate, and what its clients ask besides."""

import time
from functools import partial
from importlib.metadata import version

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.body import decode_body, read_body
from api.dialects.ollama.chat import OllamaChatRequest, ollama_chat_job
from api.dialects.ollama.generate import OllamaGenerateRequest, ollama_generate_job
from api.dialects.ollama.lines import OllamaLines
from api.dialects.ollama.models import (
    ShowRequest,
    VersionReply,
    list_loaded,
    list_models,
    served_id,
    show_model,
)
from api.dialects.ollama.reply import OllamaWriter, ollama_envelope
from api.errors import Fault
from api.images import ImageSource
from api.job_reply import accepted_response
from api.openapi import request_body, work_endpoint
from api.queue import Queue
from api.route import DirectRoute
from api.stream_response import StreamResponse
from api.streaming import open_stream
from api.waiting import Accepted, perform
from jobs.errors import InvalidInput
from jobs.generation import GenerateJob
from jobs.settings import Settings


class OllamaRoute(DirectRoute):
    def envelope(self, fault: Fault) -> bytes:
        return ollama_envelope(fault)


class Ollama:
    """images: who looks at pictures; None where nobody does."""

    def __init__(self, queue: Queue, settings: Settings, images: ImageSource | None) -> None:
        self._queue = queue
        self._settings = settings
        self._images = images
        self._chat_decoder = msgspec.json.Decoder(OllamaChatRequest)
        self._generate_decoder = msgspec.json.Decoder(OllamaGenerateRequest)
        self._show_decoder = msgspec.json.Decoder(ShowRequest)

    def add_routes(self, app: FastAPI) -> None:
        add = partial(app.router.add_api_route, route_class_override=OllamaRoute)
        add("/api/chat", self.chat, **work_endpoint(OllamaChatRequest))
        add("/api/generate", self.generate, **work_endpoint(OllamaGenerateRequest))
        shown = {"requestBody": request_body(ShowRequest)}
        add("/api/show", self.show, methods=["POST"], tags=["models"], openapi_extra=shown)
        add("/api/tags", self.tags, methods=["GET"], tags=["models"])
        add("/api/ps", self.loaded, methods=["GET"], tags=["models"])
        add("/api/version", self.version, methods=["GET"], tags=["health"])

    async def chat(self, request: Request) -> Response:
        """The answer to a chat: a stream of JSON lines or, with `stream` false, one JSON object."""
        started_ns = time.monotonic_ns()
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._chat_decoder, raw)
        job = await ollama_chat_job(asked, self._images)
        return await self._answer(request, job, OllamaWriter(asked.model, chat=True), started_ns)

    async def generate(self, request: Request) -> Response:
        """The answer to one prompt: a stream of JSON lines or, with `stream` false, one JSON object."""
        started_ns = time.monotonic_ns()
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._generate_decoder, raw)
        job = await ollama_generate_job(asked, self._images)
        return await self._answer(request, job, OllamaWriter(asked.model, chat=False), started_ns)

    async def show(self, request: Request) -> Response:
        """One model."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._show_decoder, raw)
        name = asked.model or asked.name
        if not name:
            raise InvalidInput("Missing field: model.", param="model")
        return _json(msgspec.json.encode(show_model(name, await self._queue.models())))

    async def tags(self, request: Request) -> Response:
        """Every model that a live worker serves."""
        return _json(msgspec.json.encode(list_models(await self._queue.models())))

    async def loaded(self, request: Request) -> Response:
        """Those of them that are in memory."""
        models, stats = await self._queue.models(), await self._queue.stats()
        return _json(msgspec.json.encode(list_loaded(models, stats.workers)))

    async def version(self, request: Request) -> Response:
        """That of mlxq."""
        return _json(msgspec.json.encode(VersionReply(version("mlxq"))))

    async def _answer(
        self, request: Request, job: GenerateJob, writer: OllamaWriter, started_ns: int
    ) -> Response:
        job = msgspec.structs.replace(job, model=served_id(job.model, await self._queue.models()))
        if job.count_only and job.keep_alive_s == 0 and not await self._is_loaded(job.model):
            return _json(writer.loaded("unload"))  # a job would load it first
        if job.stream:
            stream = await open_stream(self._queue, self._settings, request, [job])
            if isinstance(stream, Accepted):
                return await accepted_response(stream)
            return StreamResponse(stream, OllamaLines(writer, started_ns))
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        if job.count_only:
            return _json(writer.loaded("unload" if job.keep_alive_s == 0 else "load"))
        return _json(writer.whole(outcome.result, time.monotonic_ns() - started_ns))

    async def _is_loaded(self, model: str) -> bool:
        """Also True for a model that nobody serves: a job says so."""
        workers = (await self._queue.stats()).workers
        served = any(model in worker.models for worker in workers)
        return not served or any(each.id == model for worker in workers for each in worker.loaded)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
