"""vLLM's dialect: /v1/score."""

import time

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.mlxq.job_reply import accepted_response
from api.dialects.vllm.score import ScoreReply, ScoreRequest, encode_scores, score_jobs
from api.openapi.operation import work
from api.requests.body import decode_body, read_body
from api.requests.images import ImageSource
from api.route import add_route
from api.work.queue import Queue
from api.work.wait import Accepted, perform, perform_all
from jobs.settings import Settings

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


class Vllm:
    """images: None where addresses of images are not to be fetched."""

    def __init__(self, queue: Queue, settings: Settings, images: ImageSource | None) -> None:
        self._queue = queue
        self._settings = settings
        self._images = images
        self._decoder = msgspec.json.Decoder(ScoreRequest)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/score", self.score, _SCORE)

    async def score(self, request: Request) -> Response:
        """How well the second of each pair answers the first, in the pairs' order."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._decoder, raw)
        models = await self._queue.models()
        paired = await score_jobs(asked, models, self._images, self._settings.max_inputs)
        created = int(time.time())
        if len(paired) == 1:
            outcome = await perform(self._queue, self._settings, request, paired[0].job)
            if isinstance(outcome, Accepted):
                return await accepted_response(outcome)
            done = [outcome]
        else:
            jobs = [each.job for each in paired]
            done = await perform_all(self._queue, self._settings, request, jobs)
        results = [each.result for each in done]
        body = encode_scores(paired, results, job_id=done[0].job_id, created=created)
        return Response(body, media_type="application/json")
