"""Embed a JSONL file of any size in the bulk lane. Stop it at any time and start it again: nothing is done twice.

    mlxq up                                       # in another terminal
    pip install httpx && python examples/bulk_jsonl.py texts.jsonl vectors.jsonl

Each line of the input is {"text": ...}; each line of the output is {"text": ..., "embedding": [...]}, in the same order.
MLXQ_URL says where mlxq is, if not at http://127.0.0.1:8000.
"""

import hashlib
import itertools
import json
import os
import sys
import time
from collections import deque

import httpx

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")
MODEL = "all-MiniLM-L6-v2"
TEXTS_PER_JOB = 64
JOBS_AHEAD = 16  # enough to keep the worker busy; the rest waits in the file, not in Redis


def main(source: str, target: str) -> None:
    with open(target, "a+", encoding="utf-8") as out, open(source, encoding="utf-8") as lines:
        out.seek(0)
        done = sum(1 for _ in out)  # lines written by an earlier run
        texts = (json.loads(line)["text"] for line in itertools.islice(lines, done, None))
        chunks = iter(lambda: list(itertools.islice(texts, TEXTS_PER_JOB)), [])
        with httpx.Client(base_url=URL, timeout=90, trust_env=False) as http:
            running: deque[tuple[list[str], str]] = deque()
            for chunk in itertools.chain(chunks, itertools.repeat(None)):
                if chunk:
                    running.append((chunk, submit(http, chunk)))
                if running and (chunk is None or len(running) >= JOBS_AHEAD):
                    finished, job_id = running.popleft()
                    for text, vector in zip(finished, result(http, job_id), strict=True):
                        out.write(json.dumps({"text": text, "embedding": vector}) + "\n")
                        done += 1
                    out.flush()
                if chunk is None and not running:
                    break
    print(f"{done} lines in {target}")


def submit(http: httpx.Client, chunk: list[str]) -> str:
    """The id of the chunk's job; its content is its key, so the same chunk is the same job, also tomorrow."""
    work = {"task": "embed", "model": MODEL, "input": chunk, "lane": "bulk", "retries": 3, "truncate": "end"}
    key = hashlib.sha256(json.dumps(work).encode()).hexdigest()
    while (reply := http.post("/v1/jobs", json=work, headers={"Idempotency-Key": key})).status_code in (429, 503):
        time.sleep(int(reply.headers["Retry-After"]))
    return reply.raise_for_status().json()["id"]


def result(http: httpx.Client, job_id: str) -> list[list[float]]:
    job = {"status": "queued"}
    while job["status"] in ("queued", "started", "scheduled"):
        job = http.get(f"/v1/jobs/{job_id}", params={"wait": 30}).raise_for_status().json()
    if job["status"] != "finished":
        raise SystemExit(f"job {job_id} {job['status']}: {job['error']}")
    return [item["embedding"] for item in job["result"]["data"]]


if __name__ == "__main__":
    main(*sys.argv[1:3])
