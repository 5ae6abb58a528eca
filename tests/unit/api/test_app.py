import json
import subprocess
import sys

import httpx

from api.app import create_app
from jobs.settings import Settings
from jobs.testing import MemoryQueue

PROBE = """
import json, sys
import api.app, jobs.queue
from jobs.settings import Settings
from jobs.testing import MemoryQueue
api.app.create_app(MemoryQueue(), Settings())
modules = sorted({name.partition(".")[0] for name in sys.modules})
import psutil  # not ru_maxrss: it counts the process that started this one
print(json.dumps({"size_bytes": psutil.Process().memory_info().rss, "modules": modules}))
"""


async def test_the_queue_lives_as_long_as_the_application(queue: MemoryQueue):
    app = create_app(queue, Settings())
    async with app.router.lifespan_context(app):
        assert queue.running
    assert not queue.running


def test_the_api_process_is_small_and_without_numerics():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True)
    probe = json.loads(done.stdout)
    assert not {"mlx", "mlx_lm", "mlx_vlm", "numpy", "torch", "workers", "ingest"} & set(probe["modules"])
    assert probe["size_bytes"] < 150 * 2**20


async def test_the_openapi_document_describes_the_bodies(client: httpx.AsyncClient):
    document = (await client.get("/openapi.json")).json()
    for path in ("/v1/embeddings", "/v1/jobs"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert {"model", "input", "dimensions"} <= set(body["properties"])
    assert "$ref" not in json.dumps(document)


async def test_the_openapi_document_describes_generations(client: httpx.AsyncClient):
    paths = (await client.get("/openapi.json")).json()["paths"]
    schemas = {
        path: paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/jobs")
    }
    assert {"messages", "tools", "temperature"} <= set(schemas["/v1/chat/completions"]["properties"])
    assert schemas["/v1/completions"]["required"] == ["model", "prompt"]
    assert {"messages", "prompt", "input", "lane"} <= set(schemas["/v1/jobs"]["properties"])
    assert schemas["/v1/jobs"]["required"] == ["model", "task"]


async def test_the_openapi_document_describes_rerankings(client: httpx.AsyncClient):
    paths = (await client.get("/openapi.json")).json()["paths"]
    schemas = {
        path: paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for path in ("/v1/rerank", "/v2/rerank", "/rerank", "/v1/score", "/v1/jobs")
    }
    assert schemas["/v1/rerank"]["required"] == ["model", "query", "documents"]
    assert {"documents", "max_tokens_per_doc"} <= set(schemas["/v2/rerank"]["properties"])
    assert schemas["/rerank"]["required"] == ["query", "texts"]
    assert {"text_1", "text_2"} <= set(schemas["/v1/score"]["properties"])
    assert {"query", "documents", "top_n"} <= set(schemas["/v1/jobs"]["properties"])
