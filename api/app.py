"""The API as an ASGI application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.cors import Cors
from api.dialects.anthropic.errors import ANTHROPIC_ERRORS
from api.dialects.anthropic.routes import Anthropic
from api.dialects.callers import is_anthropic_client, is_cohere_client, is_voyage_client
from api.dialects.cohere.errors import COHERE_ERRORS
from api.dialects.cohere.routes import Cohere
from api.dialects.dialect import Context
from api.dialects.infinity.routes import Infinity
from api.dialects.llamacpp.routes import LlamaCpp
from api.dialects.mlxq.ask import Ask
from api.dialects.mlxq.documents import Documents
from api.dialects.mlxq.health import Health
from api.dialects.mlxq.job_events import JobEvents
from api.dialects.mlxq.job_reply import accepted_response
from api.dialects.mlxq.jobs import Jobs
from api.dialects.mlxq.pages import Pages
from api.dialects.mlxq.search import Search
from api.dialects.mlxq.similarity_maps import SimilarityMaps
from api.dialects.ollama.chat import OLLAMA_ERRORS
from api.dialects.ollama.names import OllamaNames
from api.dialects.ollama.pull import OllamaPull
from api.dialects.ollama.routes import Ollama
from api.dialects.openai.chat_routes import OpenAIChat
from api.dialects.openai.routes import OpenAI
from api.dialects.openai.stored_chats import StoredChats
from api.dialects.openai.vector_stores.routes import VectorStores
from api.dialects.plain_rerank import PlainRerank
from api.dialects.plain_tokenize import PlainTokenize
from api.dialects.tei.routes import Tei
from api.dialects.unserved import UnservedEndpoints
from api.dialects.v1_models import V1Models
from api.dialects.v1_rerank import V1Rerank
from api.dialects.vllm.routes import Vllm
from api.dialects.voyage.errors import VOYAGE_ERRORS
from api.errors import OPENAI_ERRORS, ErrorFormat, error_response
from api.hosts import Hosts
from api.openapi.document import document
from api.paths import Paths
from api.requests.body import BodiesInFlight
from api.requests.images import ImageSource
from api.route import DirectRoute
from api.ui.console import add_console
from api.ui.context import Collaborators, ConsoleParts
from api.work.queue import Queue
from jobs.search.collections import Collections
from jobs.settings import Settings

# Routes are tried in this order: the busiest first.
_DIALECTS = (
    OpenAI,
    OpenAIChat,
    StoredChats,
    V1Models,
    V1Rerank,
    Cohere,
    PlainRerank,
    PlainTokenize,
    Tei,
    Vllm,
    LlamaCpp,
    Infinity,
    UnservedEndpoints,
    SimilarityMaps,
    Search,
    Ask,
    Documents,
    Pages,
    VectorStores,
    Anthropic,
    Ollama,
    OllamaNames,
    OllamaPull,
    Jobs,
    JobEvents,
    Health,
)

_ERRORS_UNDER = {"/api": OLLAMA_ERRORS, "/v1/messages": ANTHROPIC_ERRORS, "/v2": COHERE_ERRORS}
"""Where one dialect has all paths, unknown ones are its own, too; elsewhere they are the caller's."""


class _Application(FastAPI):
    """FastAPI parses no bodies here and so cannot describe them. api.openapi makes the document."""

    def openapi(self) -> dict[str, Any]:
        """Made at the first request for it."""
        if self.openapi_schema is None:
            self.openapi_schema = document([each for each in self.routes if isinstance(each, DirectRoute)])
        return self.openapi_schema


def create_app(
    queue: Queue,
    settings: Settings,
    images: ImageSource | None = None,
    collections: Collections | None = None,
    console: ConsoleParts | None = None,
) -> FastAPI:
    """The queue is started and closed with the application. Redis may be away at the start, and the vector store.

    images: fetches images by their address and checks them. None: addresses are refused, and nothing is checked.
    collections: are searched. None: searches are answered 503.
    console: the pages for people are there if it is, and collections.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await queue.start()
        try:
            yield
        finally:
            await queue.aclose()

    app = _Application(title="mlxq", lifespan=lifespan, exception_handlers={HTTPException: _http_exception})
    context = Context(
        queue, settings, images, accepted_response, BodiesInFlight(settings.bodies_bytes), collections
    )
    for dialect in _DIALECTS:
        dialect(context).add_routes(app)
    if collections is not None and console is not None:
        add_console(app, Collaborators(queue, settings, images, context.bodies, collections, *console))
    app.add_middleware(Cors, origins=settings.origins, hosts=Hosts(settings.ui_hosts), errors_as=_errors_for)
    app.add_middleware(Paths)  # the outermost: Cors judges paths as the routes see them
    return app


async def _http_exception(request: Request, error: Exception) -> Response:
    """FastAPI's hook for what its router raises: 404 and 405."""
    route = request.scope.get("route")
    known = route.errors_as if isinstance(route, DirectRoute) else _errors_for(request)
    return error_response(error, request, known)


def _errors_for(request: Request) -> ErrorFormat:
    """Of a request that no route takes."""
    path = request.scope["path"]
    known = [form for prefix, form in _ERRORS_UNDER.items() if f"{path}/".startswith(f"{prefix}/")]
    if known:
        return known[0]
    if is_cohere_client(request.headers):
        return COHERE_ERRORS
    if is_voyage_client(request.headers):
        return VOYAGE_ERRORS
    return ANTHROPIC_ERRORS if is_anthropic_client(request.headers) else OPENAI_ERRORS
