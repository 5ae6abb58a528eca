"""What infinity's client asks for: models with figures, vectors of images, no model named."""

from typing import Any

import httpx
import msgspec
import pytest

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

SEEING = msgspec.structs.replace(MODEL, abilities=("vision",))
IMAGE = MixedInput((ImagePart(OPAQUE),))


@pytest.fixture
def seeing() -> MemoryQueue:
    return MemoryQueue(models=(SEEING,))


async def test_models_have_figures_where_v1_is_left_out(client: httpx.AsyncClient):
    [model] = (await client.get("/models")).json()["data"]
    assert (model["id"], model["owned_by"], model["backend"], model["object"]) == (
        MODEL.id, "infinity", "mlx", "model",
    )  # fmt: skip
    assert model["stats"] == {
        "queue_fraction": 0.0, "queue_absolute": 0, "results_pending": 0, "batch_size": 0,
    }  # fmt: skip
    [other] = (await client.get("/v1/models")).json()["data"]
    assert other["owned_by"] == "org"
    assert model.keys() - other.keys() == {"stats", "backend"}


async def test_jobs_that_wait_are_counted(connect: Connect):
    queue = MemoryQueue(held=True, limit=4)
    client = connect(queue)
    headers = {"Prefer": "respond-async"}
    assert (await client.post("/embeddings", json={"input": "a"}, headers=headers)).status_code == 202
    [model] = (await client.get("/models")).json()["data"]
    assert (model["stats"]["queue_absolute"], model["stats"]["queue_fraction"]) == (1, 0.25)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/embeddings_image", {}),
        ("/embeddings_image", {"modality": "image"}),
        ("/embeddings", {"modality": "image"}),
        ("/embeddings", {"infinity_extra_modality": "image", "model": "default/not-specified"}),
    ],
)
async def test_images_become_vectors(
    connect: Connect, seeing: MemoryQueue, path: str, fields: dict[str, Any]
):
    body = {"input": [OPAQUE_BASE64, f"data:image/png;base64,{OPAQUE_BASE64}"], **fields}
    reply = await connect(seeing).post(path, json=body)
    assert reply.status_code == 200, reply.text
    assert (len(reply.json()["data"]), reply.json()["model"]) == (2, SEEING.id)
    assert seeing.submitted[0][0] == EmbedJob(SEEING.id, (IMAGE, IMAGE))


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/embeddings", {"modality": "audio", "input": "a"}, "modality"),
        ("/embeddings", {"modality": "video", "input": "a"}, "modality"),
        ("/embeddings_image", {"input": [1, 2]}, "input"),
        ("/embeddings_image", {"input": "no image!"}, "input"),
        ("/embeddings_image", {"input": OPAQUE_BASE64, "modality": "audio"}, "modality"),
    ],
)
async def test_what_is_no_image_is_refused(
    connect: Connect, seeing: MemoryQueue, path: str, fields: dict[str, Any], param: str
):
    reply = await connect(seeing).post(path, json=fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", ["/embeddings", "/v1/embeddings", "/embeddings_image"])
async def test_no_dimensions_are_the_models_own(connect: Connect, seeing: MemoryQueue, path: str):
    """Its client sends 0 where nothing was said."""
    body = {"input": [f"data:image/png;base64,{OPAQUE_BASE64}"], "modality": "image"}
    reply = await connect(seeing).post(path, json={**body, "dimensions": 0})
    assert reply.status_code == 200, reply.text
    job = seeing.submitted[-1][0]
    assert isinstance(job, EmbedJob) and job.dimensions is None
    assert (await connect(seeing).post(path, json={**body, "dimensions": -1})).status_code == 400
