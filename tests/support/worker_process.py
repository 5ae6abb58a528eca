"""A worker with the fake runner in a process of its own: `worker_process.py REDIS_URL NAME [FOLDER]`.

Named "hanging", it takes a fifth of a second for each batch, so that a test can have a job that runs for long.
Named "hungry…", a batch of more than 100 padded tokens kills it. FOLDER: for what it learns of that.
Named "newer", it is of the next version of records.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.errors import JobError
from jobs.settings import Settings
from jobs.store import record
from jobs.store.connection import connect
from tests.support.fake_runner import FakeItem, FakeRunner
from workers.loops.batch_parts import padded_tokens
from workers.loops.size_file import SizeFile
from workers.models.model_cache import preloaded
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker


class Unhurried(FakeRunner):
    def run(self, items: Sequence[FakeItem]) -> Sequence[bytes | JobError]:
        time.sleep(0.2)
        return super().run(items)


class Hungry(FakeRunner):
    def run(self, items: Sequence[FakeItem]) -> Sequence[bytes | JobError]:
        if padded_tokens(items) > 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(items)


def runner_of(name: str) -> FakeRunner:
    if name.startswith("hungry"):
        return Hungry()
    return Unhurried() if name == "hanging" else FakeRunner()


if __name__ == "__main__":
    url, name, *folders = sys.argv[1:]
    record.VERSION += name == "newer"
    limits = BatchLimits(tokens=256, items=64, padding=0.5, free_padding=64)
    worker = BatchWorker(
        connect(url),
        preloaded({"fake": runner_of(name)}),
        {"fake": limits},
        Settings(lease_s=1, batch_timeout_s=2),
        lambda work: work(),
        name=name,
        size_memory=SizeFile(Path(folders[0]), "device") if folders else None,
    )
    sys.exit(0 if worker.work() else 1)
