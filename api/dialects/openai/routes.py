"""OpenAI's dialect: /v1/embeddings, and its form of /v1/models."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.callers import is_voyage_client
from api.dialects.dialect import Dialect, json_response
from api.dialects.openai.embedding import EmbeddingReply, EmbeddingRequest, embed_job, encode_embeddings
from api.dialects.openai.models import ModelListReply, model_replies
from api.dialects.voyage.errors import VOYAGE_ERRORS
from api.dialects.voyage.marks import is_voyage_embedding
from api.errors import OPENAI_ERRORS
from api.openapi.operation import work
from api.requests.body import decode_body
from api.requests.sole_model import with_model
from api.route import add_route, answer_errors_as
from api.work.terms import terms_of

_EMBED = work(
    "openai",
    EmbeddingRequest,
    EmbeddingReply,
    example={"model": "all-MiniLM-L6-v2", "input": ["A meal.", "A rocket."]},
)

# Voyage's clients send OpenAI's body with fields of their own.
_ERRORS = OPENAI_ERRORS._replace(shapes=(*OPENAI_ERRORS.shapes, *VOYAGE_ERRORS.shapes))

_decoder = msgspec.json.Decoder(EmbeddingRequest)


class OpenAI(Dialect):
    """/v1/embeddings, and the answers to /v1/models in OpenAI's form."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/embeddings", self.create_embeddings, _EMBED, _ERRORS)

    async def create_embeddings(self, request: Request) -> Response:
        """One vector per input, now, or a job's id with `Prefer: respond-async`."""
        is_voyages = is_voyage_client(request.headers)
        if is_voyages:
            answer_errors_as(request, VOYAGE_ERRORS)
        raw = await self.read_raw(request)
        if not is_voyages and is_voyage_embedding(raw):
            answer_errors_as(request, VOYAGE_ERRORS)
        asked, terms = decode_body(_decoder, raw), terms_of(request, self.context.settings)
        if is_voyages:
            asked = asked.as_voyages()
        queue, settings, images, *_ = self.context
        asked = await with_model(asked, queue, "embed")
        job = await embed_job(asked, settings.max_inputs, queue, images)
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_embeddings(done[0].result, asked.model, asked.form),
            asked.encoding_format,
        )

    async def list_models(self, request: Request) -> Response:
        """Every model that jobs are taken for, also while no worker serves it."""
        queue = self.context.queue
        data = model_replies(await queue.models(), await queue.memory.workers())
        return json_response(msgspec.json.encode(ModelListReply(data=data)))

    async def retrieve_model(self, request: Request) -> Response:
        """One model; its id may contain slashes."""
        queue = self.context.queue
        info = await queue.model(request.path_params["model_id"])
        [reply] = model_replies([info], await queue.memory.workers())
        return json_response(msgspec.json.encode(reply))
