"""Ollama's /api/copy, /api/delete and /api/create: names of models."""

import math
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.dialects.dialect import Dialect, json_response
from api.dialects.ollama.chat import OLLAMA_ERRORS, ollama_envelope
from api.dialects.ollama.options import OPTIONS, OllamaOptions
from api.dialects.ollama.show import model_named, model_to_show
from api.errors import BodyTooLarge, fault_of, known_error
from api.openapi.operation import ASKS, Operation, Stream
from api.requests.body import decode_body, refuse_unbuilt
from api.requests.generation import stops
from api.requests.parameters import Refused
from api.route import add_route
from api.work.catalogue import copy_model, create_model, remove_model
from api.work.ollama_ranges import WHOLE
from jobs.catalogue.defaults import ModelDefaults, Parameter, PresetMessage
from jobs.catalogue.limits import check_texts
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.models import check_new_name, model_to_remove

_ERRORS = (InvalidInput, BodyTooLarge, UnknownModel, NoWorker, *ASKS)


class CopyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /api/copy."""

    source: str
    destination: str


class DeleteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of DELETE /api/delete. name: what older clients call model."""

    model: str | None = None
    name: str | None = None


class CreateMessage(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["system", "user", "assistant"]
    content: str


_NO_FILES = Refused("files of models are not sent here. `mlxq pull` brings a model onto a machine.")


class CreateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /api/create: an alias of `from` with defaults of its own.

    parameters: by the words of Ollama's options. template: is kept and shown; a chat goes through the model's own.
    """

    model: str | None = None
    name: str | None = None
    source: str | None = msgspec.field(default=None, name="from")
    system: str | None = None
    template: str | None = None
    license: str | tuple[str, ...] | None = None
    parameters: dict[str, Any] | None = None
    messages: tuple[CreateMessage, ...] | None = None
    stream: bool | None = None
    files: Annotated[Any, _NO_FILES] = None
    adapters: Annotated[
        Any, Refused("an adapter is named in MLXQ_MODELS, as ALIAS=MODEL,adapter=FOLDER.")
    ] = None
    quantize: Annotated[Any, Refused("a model is quantised when it is pulled: `mlxq pull --quantize`.")] = (
        None
    )


class StatusReply(msgspec.Struct, frozen=True):
    status: str


_COPY = Operation(
    "POST", "ollama", {200: ()}, _ERRORS, (CopyRequest,), {"source": "CHAT-MODEL", "destination": "poet"}
)
_DELETE = Operation("DELETE", "ollama", {200: ()}, _ERRORS, (DeleteRequest,), {"model": "CHAT-MODEL"})
_CREATE = Operation(
    "POST",
    "ollama",
    {200: (StatusReply,)},
    _ERRORS,
    (CreateRequest,),
    {"model": "poet", "from": "CHAT-MODEL", "system": "You rhyme.", "stream": False},
    stream=Stream(
        "application/x-ndjson",
        StatusReply,
        "Unless `stream` is false: a StatusReply a line, the last with `success`; or an OllamaError.",
    ),
)

_copy_decoder = msgspec.json.Decoder(CopyRequest)
_delete_decoder = msgspec.json.Decoder(DeleteRequest)
_create_decoder = msgspec.json.Decoder(CreateRequest)


class OllamaNames(Dialect):
    """/api/copy, /api/delete, /api/create."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/api/copy", self.ollama_copy, _COPY, OLLAMA_ERRORS)
        add_route(app, "/api/delete", self.ollama_delete, _DELETE, OLLAMA_ERRORS)
        add_route(app, "/api/create", self.ollama_create, _CREATE, OLLAMA_ERRORS)

    async def ollama_copy(self, request: Request) -> Response:
        """Another name for a model, on every machine that has it. No file is copied.

        A name that means a model already is refused, but for an alias's.
        """
        asked = decode_body(_copy_decoder, await self.read_raw(request))
        queue = self.context.queue
        models = await queue.models()
        source = model_to_show(asked.source, models)
        check_new_name(asked.destination, models)
        await copy_model(queue, source, asked.destination)
        return Response()

    async def ollama_delete(self, request: Request) -> Response:
        """A model or an alias leaves every machine that has it, with the files that mlxq pulled and nothing else needs.

        It is named exactly; capital letters and ":latest" do not count. Answers that are being written end first.
        """
        asked = decode_body(_delete_decoder, await self.read_raw(request))
        queue = self.context.queue
        name = model_named(asked.model, asked.name)
        await remove_model(queue, model_to_remove(name, await queue.models()))
        return Response()

    async def ollama_create(self, request: Request) -> Response:
        """An alias of a model, with a system message, parameters and turns of its own."""
        asked = decode_body(_create_decoder, await self.read_raw(request))
        name = model_named(asked.model, asked.name)
        if not asked.source:
            raise InvalidInput("from is missing or null: name the model that it is made from.", param="from")
        defaults = ModelDefaults(
            asked.system or "",
            checked_parameters(asked.parameters or {}),
            tuple(PresetMessage(each.role, each.content) for each in asked.messages or ()),
        )
        licenses = asked.license or ""
        text = licenses if isinstance(licenses, str) else "\n".join(licenses)
        check_texts(defaults, asked.template or "", text)
        queue = self.context.queue
        models = await queue.models()
        source = model_to_show(asked.source, models)
        check_new_name(name, models)

        async def create() -> None:
            await create_model(queue, source, name, defaults, template=asked.template or "", license=text)

        if asked.stream is False:
            await create()
            return json_response(_line("success").strip())

        async def lines() -> AsyncIterator[bytes]:
            yield _line(f"using existing model {source.root}")
            try:
                await create()
            except Exception as error:  # noqa: BLE001 - the edge of a request
                yield ollama_envelope(fault_of(known_error(error, request))) + b"\n"
            else:
                yield _line("success")

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def checked_parameters(given: Mapping[str, Any]) -> dict[str, Parameter]:
    """A Modelfile's PARAMETERs. Raises InvalidInput for one that is unknown, not built, of another type or endless."""
    for word in given:
        if word not in OPTIONS:
            raise InvalidInput(f"unknown parameter {word[:100]!r}", param="parameters")
    try:
        options = msgspec.convert(given, OllamaOptions, strict=False)
        refuse_unbuilt(options)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"parameters: {error}", param="parameters") from error
    stops(options.stop, "parameters.stop")
    found = {word: _kept(word, given[word], getattr(options, word)) for word in given}
    return {word: value for word, value in found.items() if value is not None}


def _kept(word: str, given: Any, value: Any) -> Parameter | None:
    """As the catalogue has it: whole numbers as such. Raises InvalidInput where that cannot be written."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"parameters: {word} is no finite number.", param="parameters")
    if value is not None and word in WHOLE:
        value = given if isinstance(given, int) else int(value)  # a float has 53 bits
    if isinstance(value, int) and abs(value) >= 2**63:
        raise InvalidInput(f"parameters: {word} is a number of more than 64 bits.", param="parameters")
    try:
        return msgspec.convert(value, Parameter | None)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"parameters: {word}: {error}", param="parameters") from error


def _line(status: str) -> bytes:
    return msgspec.json.encode(StatusReply(status)) + b"\n"
