"""A worker with the fake runner in a process of its own: `worker_process.py REDIS_URL NAME`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from jobs.connection import connect
from jobs.settings import Settings
from tests.fake_runner import FakeRunner
from workers.batching import BatchLimits
from workers.residents import resident
from workers.worker import BatchWorker

if __name__ == "__main__":
    url, name = sys.argv[1:]
    limits = BatchLimits(tokens=256, items=64, padding=0.5, free_padding=64)
    runner = FakeRunner()
    worker = BatchWorker(
        connect(url),
        resident({"fake": runner}),
        {"fake": limits},
        Settings(lease_s=1, batch_timeout_s=2),
        lambda work: work(),
        name=name,
    )
    sys.exit(0 if worker.work() else 1)
