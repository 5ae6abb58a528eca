"""A bulk job: submitted, found again, followed to its end; and one that is canceled.

    mlxq up                                       # in another terminal
    pip install httpx && python examples/async_job.py

MLXQ_URL says where mlxq is, if not at http://127.0.0.1:8000.
"""

import os
import uuid

import httpx

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")
WORK = {
    "task": "embed",
    "model": "all-MiniLM-L6-v2",
    "input": [f"Page {number} of the report." for number in range(1, 101)],
    "lane": "bulk",  # after all interactive and default work
    "retries": 2,
    "metadata": {"source": "report.pdf"},
}


def main() -> None:
    # trust_env=False: no proxy between us and our own machine.
    with httpx.Client(base_url=URL, timeout=90, trust_env=False) as http:
        key = {"Idempotency-Key": f"report-{uuid.uuid4()}"}  # in real life: what names this piece of work
        job = submit(http, WORK, key)
        print(f"submitted: {job['lane']} job, {job['status']}")

        # A lost reply, a second try: the same job, not a second one.
        print("sent again, same job:", submit(http, WORK, key)["id"] == job["id"])

        # Each call waits up to 30 s on the server and answers as soon as the job has ended.
        while job["status"] in ("queued", "started", "scheduled"):
            job = http.get(f"/v1/jobs/{job['id']}", params={"wait": 30}).raise_for_status().json()
        if job["status"] != "finished":
            raise SystemExit(f"{job['status']}: {job['error']}")
        print(f"finished: {len(job['result']['data'])} vectors for {job['metadata']['source']}")

        # A mind is changed: whatever has not been done will not be.
        other = submit(http, {**WORK, "input": ["never mind"] * 2000}, {})
        canceled = http.delete(f"/v1/jobs/{other['id']}").raise_for_status().json()
        print("another one:", canceled["status"])


def submit(http: httpx.Client, work: dict, headers: dict[str, str]) -> dict:
    return http.post("/v1/jobs", json=work, headers=headers).raise_for_status().json()


if __name__ == "__main__":
    main()
