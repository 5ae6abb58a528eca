"""The API as an ASGI application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from api.dialects.anthropic.routes import Anthropic
from api.dialects.cohere.routes import Cohere
from api.dialects.jina.routes import Jina
from api.dialects.mlxq.health import Health
from api.dialects.mlxq.job_events import JobEvents
from api.dialects.mlxq.jobs import Jobs
from api.dialects.mlxq.similarity_maps import SimilarityMaps
from api.dialects.ollama.routes import Ollama
from api.dialects.openai.chat_routes import OpenAIChat
from api.dialects.openai.routes import OpenAI
from api.dialects.tei.routes import Tei
from api.dialects.vllm.routes import Vllm
from api.errors import http_exception
from api.openapi.document import document
from api.requests.images import ImageSource
from api.work.queue import Queue
from jobs.settings import Settings


class _Application(FastAPI):
    """FastAPI parses no bodies here, so it cannot describe them: the document is ours."""

    def openapi(self) -> dict[str, Any]:
        """Made when it is first asked for."""
        if self.openapi_schema is None:
            self.openapi_schema = document(self.routes)
        return self.openapi_schema


def create_app(queue: Queue, settings: Settings, images: ImageSource | None = None) -> FastAPI:
    """The queue is started and closed with the application. Redis may be away at the start.

    images: who fetches images by their address; None where nobody does.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await queue.start()
        try:
            yield
        finally:
            await queue.aclose()

    app = _Application(title="mlxq", lifespan=lifespan, exception_handlers={HTTPException: http_exception})
    cohere = Cohere(queue, settings)
    # Routes are tried in this order: the busiest first.
    for part in (
        OpenAI(queue, settings, images),
        OpenAIChat(queue, settings, images),
        Jina(queue, settings, images, cohere),
        cohere,
        Tei(queue, settings),
        Vllm(queue, settings, images),
        SimilarityMaps(queue, settings, images),
        Anthropic(queue, settings, images),
        Ollama(queue, settings, images),
        Jobs(queue, settings, images),
        JobEvents(queue),
        Health(queue, settings),
    ):
        part.add_routes(app)
    return app
