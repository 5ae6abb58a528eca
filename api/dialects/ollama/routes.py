"""Ollama's dialect: /api/chat, /api/generate, embeddings, and what its clients ask besides."""

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Context, Dialect, json_response
from api.dialects.ollama.chat import (
    OLLAMA_ERRORS,
    OllamaChatRequest,
    OllamaGenerateRequest,
    OllamaReply,
    OllamaWriter,
    ollama_chat_job,
    ollama_generate_job,
    with_model_options,
)
from api.dialects.ollama.embedding import (
    OllamaEmbeddingsRequest,
    OllamaEmbedRequest,
    OllamaVector,
    OllamaVectors,
    encode_ollama_vector,
    encode_ollama_vectors,
    ollama_embed_job,
    ollama_embeddings_job,
)
from api.dialects.ollama.lines import OllamaLines
from api.dialects.ollama.models import (
    OllamaLoadedModels,
    OllamaModels,
    list_loaded,
    list_models,
)
from api.dialects.ollama.show import (
    ShowReply,
    ShowRequest,
    model_named,
    model_to_show,
    show_model,
    with_modelfile,
)
from api.dialects.ollama.unserved import UNSERVED
from api.errors import BodyTooLarge
from api.openapi.operation import Operation, Stream, reading, work
from api.requests.body import decode_body
from api.route import add_route
from api.work.perform import Done
from api.work.terms import Terms
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.generate import GenerateJob


class VersionReply(msgspec.Struct, frozen=True):
    version: str


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
_EMBED = work(
    "ollama",
    OllamaEmbedRequest,
    OllamaVectors,
    example={"model": "all-MiniLM-L6-v2", "input": ["A meal.", "A rocket."]},
)
_EMBEDDINGS = work(
    "ollama",
    OllamaEmbeddingsRequest,
    OllamaVector,
    example={"model": "all-MiniLM-L6-v2", "prompt": "A meal."},
)
_SHOW = reading("ollama", ShowReply, InvalidInput, BodyTooLarge, UnknownModel, NoWorker)._replace(
    method="POST", body=(ShowRequest,), example={"model": "CHAT-MODEL"}
)
API_VERSION = "0.12.11"
"""Its first with log-probabilities; levels of thinking are older."""

_VERSION = Operation("GET", "ollama", {200: (VersionReply,)}, ())

_chat_decoder = msgspec.json.Decoder(OllamaChatRequest)
_generate_decoder = msgspec.json.Decoder(OllamaGenerateRequest)
_embed_decoder = msgspec.json.Decoder(OllamaEmbedRequest)
_embeddings_decoder = msgspec.json.Decoder(OllamaEmbeddingsRequest)
_show_decoder = msgspec.json.Decoder(ShowRequest)


class Ollama(Dialect):
    """/api/chat, /api/generate, embeddings, and the models."""

    def __init__(self, context: Context, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """clock_ns: tells how long callers waited."""
        super().__init__(context)
        self._clock_ns = clock_ns

    def add_routes(self, app: FastAPI) -> None:
        for path, endpoint, operation in (
            ("/api/chat", self.ollama_chat, _CHAT),
            ("/api/generate", self.ollama_generate, _GENERATE),
            ("/api/embed", self.ollama_embed, _EMBED),
            ("/api/embeddings", self.ollama_embeddings, _EMBEDDINGS),
            ("/api/show", self.ollama_show, _SHOW),
            ("/api/tags", self.ollama_tags, reading("ollama", OllamaModels)),
            ("/api/ps", self.ollama_ps, reading("ollama", OllamaLoadedModels)),
            ("/api/version", self.ollama_version, _VERSION),
        ):
            add_route(app, path, endpoint, operation, OLLAMA_ERRORS)
        for each in UNSERVED:
            each.add_to(app)

    async def ollama_chat(self, request: Request) -> Response:
        """The answer to a chat: a stream of JSON lines or, with `stream` false, one JSON object."""
        started_ns = self._clock_ns()
        asked, terms = await self.read(request, _chat_decoder)
        asked = await with_model_options(asked, self.context.queue)
        job = await ollama_chat_job(asked, self.context.images)
        return await self._answer(request, job, terms, OllamaWriter(asked.model, chat=True), started_ns)

    async def ollama_generate(self, request: Request) -> Response:
        """The answer to one prompt: a stream of JSON lines or, with `stream` false, one JSON object."""
        started_ns = self._clock_ns()
        asked, terms = await self.read(request, _generate_decoder)
        asked = await with_model_options(asked, self.context.queue)
        job = await ollama_generate_job(asked, self.context.images)
        return await self._answer(request, job, terms, OllamaWriter(asked.model, chat=False), started_ns)

    async def ollama_embed(self, request: Request) -> Response:
        """A vector for each text. Without a text the model is only loaded or, with `keep_alive` 0, unloaded."""
        started_ns = self._clock_ns()
        asked, terms = await self.read(request, _embed_decoder)
        job = await ollama_embed_job(asked, self.context.queue, self.context.settings.max_inputs)
        if await self._unloads(job):
            return json_response(msgspec.json.encode(OllamaVectors(model=asked.model, embeddings=[])))

        def encode(done: Sequence[Done]) -> Awaitable[bytes]:
            return encode_ollama_vectors(done[0].result, asked.model, self._clock_ns() - started_ns)

        return await self.respond(request, [job], terms, encode, "float")

    async def ollama_embeddings(self, request: Request) -> Response:
        """The vector of one text. Without it the model is only loaded or, with `keep_alive` 0, unloaded."""
        asked, terms = await self.read(request, _embeddings_decoder)
        job = await ollama_embeddings_job(asked, self.context.queue)
        if await self._unloads(job):
            return json_response(msgspec.json.encode(OllamaVector([])))
        return await self.respond(
            request, [job], terms, lambda done: encode_ollama_vector(done[0].result), "float"
        )

    async def ollama_show(self, request: Request) -> Response:
        """One model."""
        asked = decode_body(_show_decoder, await self.read_raw(request))
        queue = self.context.queue
        info = model_to_show(model_named(asked.model, asked.name), await queue.models())
        told = with_modelfile(await queue.machines.details(info.root), info, await queue.machines.live())
        return json_response(msgspec.json.encode(show_model(info, told)))

    async def ollama_tags(self, request: Request) -> Response:
        """Every model that jobs are taken for, also while no worker serves it."""
        return json_response(msgspec.json.encode(list_models(await self.context.queue.models())))

    async def ollama_ps(self, request: Request) -> Response:
        """Those of them that are in memory."""
        queue = self.context.queue
        models, workers = await queue.models(), await queue.memory.workers()
        return json_response(msgspec.json.encode(list_loaded(models, workers)))

    async def ollama_version(self, request: Request) -> Response:
        """The version of Ollama's API that is spoken here; clients refuse one that is too old."""
        return json_response(msgspec.json.encode(VersionReply(API_VERSION)))

    async def _answer(
        self, request: Request, job: GenerateJob, terms: Terms, writer: OllamaWriter, started_ns: int
    ) -> Response:
        if await self._unloads(job):
            return json_response(writer.loaded("unload"))
        if job.stream:
            return await self.respond_stream(
                request, [job], terms, lambda _: OllamaLines(writer, started_ns, self._clock_ns)
            )

        def encode(done: Sequence[Done]) -> bytes:
            if job.count_only:
                return writer.loaded("load")
            return writer.whole(done[0].result, self._clock_ns() - started_ns)

        return await self.respond(request, [job], terms, encode)

    async def _unloads(self, job: GenerateJob | EmbedJob) -> bool:
        """Whether the job says no more than that its model, of whatever task, is to leave the memory. Then workers are
        told so, because a job would load it first. Raises what Queue.model and WorkerMemory.unload raise.
        """
        has_work = job.inputs if isinstance(job, EmbedJob) else not job.count_only
        if job.keep_alive_s != 0 or has_work:
            return False
        queue = self.context.queue
        await queue.memory.unload((await queue.model(job.model)).root)
        return True
