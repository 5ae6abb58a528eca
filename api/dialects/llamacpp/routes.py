"""What llama.cpp's server has besides OpenAI's dialect: /props."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.llamacpp.errors import LLAMA_ERRORS
from api.dialects.llamacpp.props import Props, PropsQuery, props
from api.openapi.operation import reading
from api.requests.body import decode_query
from api.route import add_route
from jobs.errors import InvalidInput, NoWorker, UnknownModel


class LlamaCpp(Dialect):
    """/props. Its part of /tokenize is chosen by the request."""

    def add_routes(self, app: FastAPI) -> None:
        operation = reading("llamacpp", Props, InvalidInput, UnknownModel, NoWorker, query=PropsQuery)
        add_route(app, "/props", self.get_props, operation, LLAMA_ERRORS)

    async def get_props(self, request: Request) -> Response:
        """What is known of a model that writes, and the defaults of a generation."""
        query = decode_query(request, PropsQuery)
        queue = self.context.queue
        models, stats = await queue.models(), await queue.stats()
        loaded = {model.id for worker in stats.workers for model in worker.loaded}
        return json_response(msgspec.json.encode(props(query.model, models, loaded)))
