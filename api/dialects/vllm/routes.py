"""vLLM's dialect: /v1/score, /pooling, /version."""

import time
from collections.abc import Sequence
from importlib.metadata import version

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.vllm.pooling import PoolingReply, PoolingRequest, encode_pooling, pooling_job
from api.dialects.vllm.score import ScoreReply, ScoreRequest, encode_scores, pair_scores, score_jobs
from api.openapi.operation import Operation, work
from api.route import add_route
from api.work.perform import Done

_SCORE = work(
    "rerank",
    ScoreRequest,
    ScoreReply,
    example={
        "model": "RERANK-MODEL",
        "text_1": "What is a fox?",
        "text_2": ["A whale.", "A red animal."],
    },
)
_POOL = work(
    "embeddings",
    PoolingRequest,
    PoolingReply,
    example={"model": "all-MiniLM-L6-v2", "input": ["A meal.", "A rocket."]},
)
_pooling_decoder = msgspec.json.Decoder(PoolingRequest)
_decoder = msgspec.json.Decoder(ScoreRequest)


class Version(msgspec.Struct, frozen=True):
    """What /version says."""

    version: str


class Vllm(Dialect):
    """/v1/score, /pooling and /version."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/score", self.score, _SCORE)
        add_route(app, "/pooling", self.pool, _POOL)
        add_route(app, "/version", self.version, Operation("GET", "health", {200: (Version,)}, ()))

    async def pool(self, request: Request) -> Response:
        """Vectors of inputs, or of each of their tokens, as an embedding model makes them."""
        asked, terms = await self.read(request, _pooling_decoder)
        queue, settings, images, *_ = self.context
        job = await pooling_job(asked, queue, images, settings.max_inputs)
        created = int(time.time())
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_pooling(
                done[0].result, job.model, asked.encoding_format, job_id=done[0].job_id, created=created
            ),
            asked.encoding_format,
        )

    async def version(self, request: Request) -> Response:
        """That of this server."""
        return json_response(msgspec.json.encode(Version(version("mlxq"))))

    async def score(self, request: Request) -> Response:
        """How well the second of each pair answers the first, in the pairs' order."""
        asked, terms = await self.read(request, _decoder)
        queue, settings, images, *_ = self.context
        paired, jobs = await score_jobs(asked, queue, images, settings.max_inputs)
        created = int(time.time())

        async def write(done: Sequence[Done]) -> bytes:
            found = await pair_scores(paired, [each.result for each in done])
            return encode_scores(found, jobs[0].model, job_id=done[0].job_id, created=created)

        return await self.respond(request, jobs, terms, write)
