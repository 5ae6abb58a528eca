"""Stock RQ tools on the same Redis, again and again: `rq info`, a worker's maintenance, an exporter's scrape.

Writes how often each ran and failed to stdout when its stdin ends. Failing while Redis is away is no fault of theirs.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

import redis
from rq import Queue, Worker
from rq.registry import StartedJobRegistry, clean_registries

from jobs.store.connection import connect

PAUSE_S = 0.5
INFO_EVERY = 8
"""`rq info` starts a process, so it comes less often than the others."""


def maintain(client: redis.Redis) -> None:
    for queue in Queue.all(connection=client):
        clean_registries(queue)
        StartedJobRegistry(queue=queue).cleanup()
    queues = Queue.all(connection=client)
    if queues:
        Worker(queues, connection=client).clean_registries()


def scrape(client: redis.Redis) -> None:
    """What rq-exporter reads for its metrics (its releases for RQ 2 need an older redis-py than ours)."""
    for worker in Worker.all(connection=client):
        worker.get_state()
    for queue in Queue.all(connection=client):
        for registry in (
            queue.started_job_registry,
            queue.finished_job_registry,
            queue.failed_job_registry,
            queue.deferred_job_registry,
            queue.scheduled_job_registry,
            queue.canceled_job_registry,
        ):
            registry.get_job_ids()
            _ = registry.count, queue.count


def info(url: str) -> None:
    command = [sys.executable, "-m", "rq.cli", "info", "--url", url]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    url = parser.parse_args().url
    client = connect(url)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    counts = Counter[str]()
    turn = 0
    while not ended.wait(PAUSE_S):
        acts: dict[str, Callable[[], None]] = {
            "maintenance": lambda: maintain(client),
            "scrape": lambda: scrape(client),
        }
        if turn % INFO_EVERY == 0 and "+sentinel:" not in url:  # which `rq info` cannot read
            acts["rq info"] = lambda: info(url)
        turn += 1
        for name, act in acts.items():
            counts[name] += 1
            try:
                act()
            except Exception as error:  # noqa: BLE001 - a stranger's trouble is counted, whatever it is
                counts[f"{name} failed"] += 1
                print(name, repr(error), file=sys.stderr)
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(counts))


if __name__ == "__main__":
    main()
