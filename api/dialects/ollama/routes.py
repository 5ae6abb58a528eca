"""Ollama's dialect: /api/chat, /api/generate, and what its clients ask besides."""

import time
from importlib.metadata import version

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.mlxq.job_reply import accepted_response
from api.dialects.ollama.chat import OllamaChatRequest, ollama_chat_job
from api.dialects.ollama.generate import OllamaGenerateRequest, ollama_generate_job
from api.dialects.ollama.lines import OllamaLines
from api.dialects.ollama.models import (
    OllamaLoadedModels,
    OllamaModels,
    ShowReply,
    ShowRequest,
    VersionReply,
    list_loaded,
    list_models,
    served_id,
    show_model,
)
from api.dialects.ollama.reply import OllamaError, OllamaReply, OllamaWriter, ollama_envelope
from api.errors import BodyTooLarge, Fault
from api.openapi.operation import Operation, Stream, reading, work
from api.replies.stream_response import StreamResponse
from api.requests.body import decode_body, read_body
from api.requests.images import ImageSource
from api.route import DirectRoute, add_route
from api.work.queue import Queue
from api.work.stream import open_stream
from api.work.wait import Accepted, perform
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.generate import GenerateJob
from jobs.settings import Settings

_LINES = Stream(
    "application/x-ndjson",
    OllamaReply,
    "Unless `stream` is false: an OllamaReply a line, or, after an error in their midst, an OllamaError.",
)
_CHAT = work(
    "ollama",
    OllamaChatRequest,
    OllamaReply,
    example={
        "model": "CHAT-MODEL",
        "messages": [{"role": "user", "content": "Say hello."}],
        "stream": False,
    },
    stream=_LINES,
)
_GENERATE = work(
    "ollama",
    OllamaGenerateRequest,
    OllamaReply,
    example={"model": "CHAT-MODEL", "prompt": "Say hello.", "stream": False},
    stream=_LINES,
)
_SHOW = reading("ollama", ShowReply, InvalidInput, BodyTooLarge, UnknownModel, NoWorker)._replace(
    method="POST", body=(ShowRequest,), example={"model": "CHAT-MODEL"}
)
_VERSION = Operation("GET", "ollama", {200: (VersionReply,)}, ())


class OllamaRoute(DirectRoute):
    error_shapes = (OllamaError,)

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
        for path, endpoint, operation in (
            ("/api/chat", self.ollama_chat, _CHAT),
            ("/api/generate", self.ollama_generate, _GENERATE),
            ("/api/show", self.ollama_show, _SHOW),
            ("/api/tags", self.ollama_tags, reading("ollama", OllamaModels)),
            ("/api/ps", self.ollama_ps, reading("ollama", OllamaLoadedModels)),
            ("/api/version", self.ollama_version, _VERSION),
        ):
            add_route(app, path, endpoint, operation, OllamaRoute)

    async def ollama_chat(self, request: Request) -> Response:
        """The answer to a chat: a stream of JSON lines or, with `stream` false, one JSON object."""
        started_ns = time.monotonic_ns()
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._chat_decoder, raw)
        job = await ollama_chat_job(asked, self._images)
        return await self._answer(request, job, OllamaWriter(asked.model, chat=True), started_ns)

    async def ollama_generate(self, request: Request) -> Response:
        """The answer to one prompt: a stream of JSON lines or, with `stream` false, one JSON object."""
        started_ns = time.monotonic_ns()
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._generate_decoder, raw)
        job = await ollama_generate_job(asked, self._images)
        return await self._answer(request, job, OllamaWriter(asked.model, chat=False), started_ns)

    async def ollama_show(self, request: Request) -> Response:
        """One model."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._show_decoder, raw)
        name = asked.model or asked.name
        if not name:
            raise InvalidInput("Missing field: model.", param="model")
        return _json(msgspec.json.encode(show_model(name, await self._queue.models())))

    async def ollama_tags(self, request: Request) -> Response:
        """Every model that a live worker serves."""
        return _json(msgspec.json.encode(list_models(await self._queue.models())))

    async def ollama_ps(self, request: Request) -> Response:
        """Those of them that are in memory."""
        models, stats = await self._queue.models(), await self._queue.stats()
        return _json(msgspec.json.encode(list_loaded(models, stats.workers)))

    async def ollama_version(self, request: Request) -> Response:
        """That of mlxq."""
        return _json(msgspec.json.encode(VersionReply(version("mlxq"))))

    async def _answer(
        self, request: Request, job: GenerateJob, writer: OllamaWriter, started_ns: int
    ) -> Response:
        job = msgspec.structs.replace(job, model=served_id(job.model, await self._queue.models(), "generate"))
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
