"""Calls through a generated client (its folder is on the path): an embedding, a chat, a job that is polled, an error.

Prints what came back as one JSON object. The argument is the server's address.
"""

import json
import sys
import time

from mlxq_client import Client  # pyright: ignore
from mlxq_client.api.jobs import create_job, retrieve_job  # pyright: ignore
from mlxq_client.api.openai import create_chat_completion, create_embeddings, retrieve_model  # pyright: ignore
from mlxq_client.models import (  # pyright: ignore
    ChatMessage,
    ChatMessageRole,
    ChatRequest,
    EmbeddingRequest,
    EmbedJobRequest,
    EmbedJobRequestTask,
    Lane,
)

EMBEDDER, GENERATOR = "all-MiniLM-L6-v2", "tiny-chat"
PATIENCE_S = 120


def main() -> None:
    client = Client(base_url=sys.argv[1], timeout=PATIENCE_S, raise_on_unexpected_status=True)
    vectors = create_embeddings.sync(
        client=client, body=EmbeddingRequest(model=EMBEDDER, input_=["a cat", "a kitten"])
    )
    question = ChatMessage(role=ChatMessageRole.USER, content="Tell me a story.")
    chat = create_chat_completion.sync(
        client=client, body=ChatRequest(model=GENERATOR, messages=[question], max_tokens=8, temperature=0.0)
    )
    work = EmbedJobRequest(
        task=EmbedJobRequestTask.EMBED, model=EMBEDDER, input_="a meal", lane=Lane.BULK, retries=1
    )
    job = create_job.sync(client=client, body=work, idempotency_key="meal")
    deadline = time.monotonic() + PATIENCE_S
    while job.status != "finished" and time.monotonic() < deadline:
        job = retrieve_job.sync(job.id, client=client, wait=1)
    found = {
        "sizes": [len(each.embedding) for each in vectors.data],
        "answer": chat.choices[0].message.content,
        "finish_reason": chat.choices[0].finish_reason,
        "completion_tokens": chat.usage.completion_tokens,
        "job": [job.status, job.lane, type(job.result).__name__, len(job.result.data[0].embedding)],
        "error": retrieve_model.sync("org/none", client=client).error.code,
        "model": retrieve_model.sync(GENERATOR, client=client).task,
    }
    print(json.dumps(found))


main()
