"""/v1/models: one path for the lists of OpenAI, Anthropic and Cohere. None of them knows the others."""

from typing import Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.anthropic.errors import ANTHROPIC_ERRORS
from api.dialects.anthropic.models import (
    AnthropicModel,
    AnthropicModels,
    ModelsQuery,
    anthropic_model,
    anthropic_models,
)
from api.dialects.callers import is_anthropic_client, is_cohere_client
from api.dialects.cohere.errors import COHERE_ERRORS
from api.dialects.cohere.models import (
    CohereModel,
    CohereModels,
    CohereModelsQuery,
    cohere_model,
    cohere_models,
)
from api.dialects.dialect import Context, Dialect, json_response
from api.dialects.openai.models import ModelListReply, ModelReply
from api.dialects.openai.routes import OpenAI
from api.errors import OPENAI_ERRORS, ErrorFormat
from api.openapi.operation import ASKS, Operation, reading
from api.requests.body import decode_query
from api.route import add_route, answer_errors_as
from api.work.catalogue import remove_model
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.models import model_to_remove


class DeletedModel(msgspec.Struct, frozen=True):
    """OpenAI's reply to a deletion."""

    id: str
    object: Literal["model"] = "model"
    deleted: bool = True


class ModelsQueries(ModelsQuery, frozen=True, kw_only=True):
    """Of Anthropic's and Cohere's clients. OpenAI's list has no pages. lifecycle: all models are active."""

    lifecycle: tuple[Literal["active", "deprecated", "retired"], ...] = msgspec.field(
        default=(), name="lifecycle[]"
    )
    page_size: int = 20
    page_token: str | None = None
    endpoint: str | None = None
    default_only: bool = False


_LIST = reading("openai", (ModelListReply, AnthropicModels, CohereModels), InvalidInput, query=ModelsQueries)
_RETRIEVE = reading("openai", (ModelReply, AnthropicModel, CohereModel), InvalidInput, UnknownModel, NoWorker)
_DELETE = Operation("DELETE", "openai", {200: (DeletedModel,)}, (InvalidInput, UnknownModel, NoWorker, *ASKS))
_ALL_ERRORS: ErrorFormat = OPENAI_ERRORS._replace(
    shapes=(*OPENAI_ERRORS.shapes, *ANTHROPIC_ERRORS.shapes, *COHERE_ERRORS.shapes)
)


class V1Models(Dialect):
    """/v1/models and /v1/models/{id}, in the form of the caller's own dialect."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._openai = OpenAI(context)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/models", self.list_models, _LIST, _ALL_ERRORS)
        add_route(app, "/v1/models/{model_id:path}", self.retrieve_model, _RETRIEVE, _ALL_ERRORS)
        add_route(app, "/v1/models/{model_id:path}", self.delete_model, _DELETE)

    async def list_models(self, request: Request) -> Response:
        """Every model that jobs are taken for, also while no worker serves it.

        Anthropic's clients, which send `anthropic-version`, get those that answer messages, in Anthropic's form and
        page by page; Cohere's get Cohere's form.
        """
        queue = self.context.queue
        if is_cohere_client(request.headers):
            answer_errors_as(request, COHERE_ERRORS)
            page = cohere_models(await queue.models(), decode_query(request, CohereModelsQuery))
            return json_response(msgspec.json.encode(page))
        if is_anthropic_client(request.headers):
            answer_errors_as(request, ANTHROPIC_ERRORS)
            stages = request.query_params.getlist("lifecycle[]")
            served = await queue.models() if not stages or "active" in stages else ()
            found = anthropic_models(served, decode_query(request, ModelsQuery))
            return json_response(msgspec.json.encode(found))
        return await self._openai.list_models(request)

    async def retrieve_model(self, request: Request) -> Response:
        """One model, in the same forms; its id may contain slashes."""
        queue, name = self.context.queue, request.path_params["model_id"]
        if is_cohere_client(request.headers):
            answer_errors_as(request, COHERE_ERRORS)
            info = await queue.model(name)
            return json_response(msgspec.json.encode(cohere_model(info.id, [info, *await queue.models()])))
        if is_anthropic_client(request.headers):
            answer_errors_as(request, ANTHROPIC_ERRORS)
            return json_response(msgspec.json.encode(anthropic_model(await queue.model(name))))
        return await self._openai.retrieve_model(request)

    async def delete_model(self, request: Request) -> Response:
        """A model or an alias leaves every machine that has it, with files that mlxq pulled and nothing else needs.

        It is named exactly; capital letters and ":latest" do not count.
        """
        queue = self.context.queue
        info = model_to_remove(request.path_params["model_id"], await queue.models())
        await remove_model(queue, info)
        return json_response(msgspec.json.encode(DeletedModel(info.id)))
