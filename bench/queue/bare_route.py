"""A FastAPI route that only replies: `python -m bench.queue.bare_route PORT`."""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from bench.queue.http import REPLY

app = FastAPI()


@app.get("/ready")
async def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/v1/embeddings")
async def embeddings(request: Request) -> Response:
    await request.body()
    return Response(REPLY, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools"
    )
