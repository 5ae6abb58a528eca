"""Pages as images, found in Qdrant by what they show: ColQwen2.5 makes a vector for each patch of a page.

    mlxq up --qdrant-port 6333 --model qnguyen3/colqwen2.5-v0.2-mlx     # in another terminal; 7.5 GB
    pip install httpx qdrant-client && python examples/colqwen_qdrant.py FOLDER_OF_IMAGES "a chart of sales"

It makes the calls of mlx-embeddings-server's example, which runs as it is beside `mlxq up --port 8888` with the options
above. MLXQ_URL says where mlxq is, if not at http://127.0.0.1:8000, QDRANT_URL where Qdrant is, if not at port 6333 (a
Qdrant server will do as well), MLXQ_PAGE_MODEL the model.
"""

import base64
import mimetypes
import os
import sys
from pathlib import Path

import httpx
from qdrant_client import QdrantClient, models

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")
QDRANT_URL = os.environ.get("QDRANT_URL", "http://127.0.0.1:6333")
MODEL = os.environ.get("MLXQ_PAGE_MODEL", "colqwen2.5-v0.2-mlx")
COLLECTION = "colqwen-example"
DIMENSIONS = 128

MultiVector = list[list[float]]


def main(folder: str, query: str) -> None:
    pages = sorted(path for path in Path(folder).iterdir() if (image_type(path) or "").startswith("image/"))
    client = QdrantClient(url=QDRANT_URL)

    # A page has many vectors. MAX_SIM compares each vector of a query with the nearest one of the page.
    if client.collection_exists(COLLECTION):
        client.delete_collection(COLLECTION)
    client.create_collection(
        COLLECTION,
        vectors_config=models.VectorParams(
            size=DIMENSIONS,
            distance=models.Distance.COSINE,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        ),
    )

    # An image goes where a text would go, as a data URI.
    vectors = [embed(as_data_uri(page)) for page in pages]
    points = [
        models.PointStruct(id=number, vector=own, payload={"file": page.name})
        for number, (page, own) in enumerate(zip(pages, vectors, strict=True))
    ]
    client.upsert(COLLECTION, points)
    print(f"{len(pages)} pages, {sum(map(len, vectors))} vectors")

    # Words find images: both lie in one space.
    for hit in client.query_points(COLLECTION, query=embed(query), limit=3).points:
        print(f"{hit.score:.2f} {(hit.payload or {})['file']}")


def embed(text_or_image: str) -> MultiVector:
    body = {"model": MODEL, "input": [text_or_image]}
    reply = httpx.post(f"{URL}/v1/embeddings", json=body, timeout=300, trust_env=False)
    return reply.raise_for_status().json()["data"][0]["embedding"]


def image_type(path: Path) -> str | None:
    return mimetypes.guess_type(path.name)[0]


def as_data_uri(page: Path) -> str:
    return f"data:{image_type(page)};base64,{base64.b64encode(page.read_bytes()).decode()}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
