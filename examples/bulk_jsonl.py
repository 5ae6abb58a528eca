"""Embed a JSONL file of any size in the bulk lane. Stop it at any time and start it again: no text is embedded twice.

    mlxq up                                       # in another terminal
    pip install httpx && python examples/bulk_jsonl.py texts.jsonl vectors.jsonl

Lines of the input are {"text": ...}, those of the output {"text": ..., "embedding": [...]}, in the same order.
MLXQ_URL says where mlxq is, if not at http://127.0.0.1:8000.
"""

import hashlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice

import httpx

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")
TEXTS_PER_JOB = 64
JOBS_AHEAD = 16  # keeps the worker busy; the rest waits in the file, not in Redis


def main(source: str, target: str) -> None:
    with open(source, encoding="utf-8") as lines, open(target, "ab+") as out:
        done = resume(out)
        print(f"{done} lines are there already")
        texts = (json.loads(line)["text"] for line in islice(lines, done, None))
        with httpx.Client(base_url=URL, timeout=90, trust_env=False) as http:
            for text, vector in embed(http, texts):
                out.write(json.dumps({"text": text, "embedding": vector}).encode() + b"\n")
                done += 1
        print(f"{done} lines in {target}")


def resume(out) -> int:
    """Lines that an earlier run has written, whole jobs only: what came after them is cut off."""
    out.seek(0)
    ends = [0]
    for line in out:
        ends.append(ends[-1] + len(line))
    done = (len(ends) - 1) // TEXTS_PER_JOB * TEXTS_PER_JOB
    out.truncate(ends[done])
    return done


def embed(http: httpx.Client, texts: Iterator[str]) -> Iterator[tuple[str, list[float]]]:
    running: deque[tuple[list[str], str]] = deque()
    while chunk := list(islice(texts, TEXTS_PER_JOB)):
        running.append((chunk, submit(http, chunk)))
        if len(running) > JOBS_AHEAD:
            yield from collect(http, *running.popleft())
    while running:
        yield from collect(http, *running.popleft())


def submit(http: httpx.Client, chunk: list[str]) -> str:
    """The id of the chunk's job. Its content is its key: the same chunk finds the same job for a day."""
    work = {"task": "embed", "model": "all-MiniLM-L6-v2", "input": chunk, "lane": "bulk", "truncate": "end"}
    key = hashlib.sha256(json.dumps(work).encode()).hexdigest()
    while (reply := http.post("/v1/jobs", json=work, headers={"Idempotency-Key": key})).status_code in (
        429,
        503,
    ):
        time.sleep(int(reply.headers["Retry-After"]))
    return reply.raise_for_status().json()["id"]


def collect(http: httpx.Client, chunk: list[str], job_id: str) -> Iterator[tuple[str, list[float]]]:
    while (job := look(http, job_id))["status"] in ("queued", "started", "scheduled"):
        pass  # each look waits up to 30 s
    if job["status"] != "finished":
        raise SystemExit(f"job {job_id} {job['status']}: {job['error']}")
    return zip(chunk, (item["embedding"] for item in job["result"]["data"]), strict=True)


def look(http: httpx.Client, job_id: str) -> dict:
    return http.get(f"/v1/jobs/{job_id}", params={"wait": 30}).raise_for_status().json()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
