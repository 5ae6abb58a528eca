"""A worker with the embedders that compute nothing, and optionally one that writes answers:
`python -m bench.ingest.noop_worker --parent-fd FD --token TOKEN [--calls FILE]`, with MLXQ_DATA or REDIS_URL set.
"""

import argparse
import os
import sys
from pathlib import Path

from bench.ingest.noop_pages import NoopPages, NoopTexts
from jobs.blobs.store import blob_store
from jobs.process.garbage import exempt_what_is_there
from jobs.process.log import set_up_logging
from jobs.process.parent_watch import exit_with_parent
from jobs.results.folder import results_folder
from jobs.settings import Settings
from jobs.store.connection import connect, redis_url
from workers.models.model_cache import preloaded
from workers.queue.worker_name import worker_name
from workers.scheduling.device_limits import CPU_FREE_PADDING, MAX_ITEMS
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker

BATCH_TOKENS = 16 * 1024
"""A batch of pages of a GPU's size."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--calls", type=Path, help="a line is added there for each item that is computed")
    options = parser.parse_args()
    exit_with_parent(options.parent_fd)
    settings = Settings()
    set_up_logging("WARNING")
    runners = {
        each.info.id: each for each in (NoopPages(calls=options.calls), NoopTexts(calls=options.calls))
    }
    limits = BatchLimits(BATCH_TOKENS, MAX_ITEMS, settings.max_padding, CPU_FREE_PADDING)
    connection = connect(redis_url(settings))
    worker = BatchWorker(
        connection,
        preloaded(runners),
        dict.fromkeys(runners, limits),
        settings,
        lambda work: work(),
        name=worker_name(os.getpid(), options.token),
        results=results_folder(settings),
        blobs=blob_store(settings, connection),
    )
    exempt_what_is_there()
    return 0 if worker.work() else 1


if __name__ == "__main__":
    sys.exit(main())
