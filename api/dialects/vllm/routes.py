"""vLLM's dialect: /v1/score."""

import time

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.vllm.score import ScoreReply, ScoreRequest, encode_scores, pair_scores, score_jobs
from api.openapi.operation import work
from api.route import add_route

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
_decoder = msgspec.json.Decoder(ScoreRequest)


class Vllm(Dialect):
    """/v1/score."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/score", self.score, _SCORE)

    async def score(self, request: Request) -> Response:
        """How well the second of each pair answers the first, in the pairs' order."""
        asked, terms = await self.read(request, _decoder)
        queue, settings, images, *_ = self.context
        paired, jobs = await score_jobs(asked, queue, images, settings.max_inputs)
        created = int(time.time())
        return await self.respond(
            request,
            jobs,
            terms,
            lambda done: encode_scores(
                pair_scores(paired, [each.result for each in done]),
                jobs[0].model,
                job_id=done[0].job_id,
                created=created,
            ),
        )
