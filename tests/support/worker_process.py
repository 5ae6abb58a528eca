"""A worker with the fake runner in a process of its own: `worker_process.py REDIS_URL NAME`.

Named "hanging", it takes a fifth of a second for each batch, so that a test can have a job that runs for long.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.errors import JobError
from jobs.settings import Settings
from jobs.store.connection import connect
from tests.support.fake_runner import FakeItem, FakeRunner
from workers.models.model_cache import preloaded
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker


class Unhurried(FakeRunner):
    def run(self, items: Sequence[FakeItem]) -> Sequence[bytes | JobError]:
        time.sleep(0.2)
        return super().run(items)


if __name__ == "__main__":
    url, name = sys.argv[1:]
    limits = BatchLimits(tokens=256, items=64, padding=0.5, free_padding=64)
    runner = Unhurried() if name == "hanging" else FakeRunner()
    worker = BatchWorker(
        connect(url),
        preloaded({"fake": runner}),
        {"fake": limits},
        Settings(lease_s=1, batch_timeout_s=2),
        lambda work: work(),
        name=name,
    )
    sys.exit(0 if worker.work() else 1)
