"""A plain RQ job that runs when an mlxq job is done: jobs of both kinds live in the same Redis.

    mlxq up                                       # in another terminal
    .venv/bin/python examples/rq_dependents.py

REDIS_URL says which Redis; unset, it is the one that `mlxq up` runs. MLXQ_URL: the API, if not http://127.0.0.1:8000.
"""

import json
import os
import urllib.request

from rq import Queue, SimpleWorker
from rq.job import Job

from jobs.settings import Settings
from jobs.store.connection import connect, redis_url
from jobs.store.serializer import MsgpackSerializer

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")
WORK = {
    "task": "embed",
    "model": "all-MiniLM-L6-v2",
    "input": ["a first text", "a second one"],
    "lane": "bulk",
}


def report(embed_id: str) -> None:
    """Runs in the RQ worker, after the vectors are there."""
    with urllib.request.urlopen(f"{URL}/v1/jobs/{embed_id}") as reply:
        job = json.load(reply)
    print(f"report: {len(job['result']['data'])} vectors are {job['status']}", flush=True)


def main() -> None:
    request = urllib.request.Request(f"{URL}/v1/jobs", json.dumps(WORK).encode())
    with urllib.request.urlopen(request) as reply:
        embed_id = json.load(reply)["id"]

    # Whoever touches mlxq's jobs with RQ must name the serializer: they are msgpack, never pickle.
    redis = connect(redis_url(Settings()))
    parent = Job.fetch(embed_id, connection=redis, serializer=MsgpackSerializer)
    reports = Queue("reports", connection=redis, serializer=MsgpackSerializer)
    # By name, because RQ refuses functions of the script that runs; in an application, pass the function.
    child = reports.enqueue("rq_dependents.report", embed_id, depends_on=parent)
    print("enqueued: the report waits for the embeddings")

    # Usually a process of its own: rq worker reports --serializer jobs.store.serializer.MsgpackSerializer
    worker = SimpleWorker([reports], connection=redis, serializer=MsgpackSerializer)
    while not child.is_finished and not child.is_failed:
        worker.work(max_jobs=1, logging_level="WARNING")
    print("child:", child.get_status().value)


if __name__ == "__main__":
    main()
