"""A worker whose model computes nothing: `python -m bench.queue.noop_worker [--batch-s S]`, with REDIS_URL set."""

import argparse
import sys

from bench.queue.noop import NoopRunner
from jobs.process.log import set_up_logging
from jobs.settings import Settings
from jobs.store.connection import connect, redis_url
from workers.models.model_cache import preloaded
from workers.scheduling.device_limits import CPU_FREE_PADDING, CPU_TOKENS, MAX_ITEMS
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-s", type=float, default=0.0, help="a batch takes so long, without the CPU")
    options = parser.parse_args()
    settings = Settings()
    set_up_logging("WARNING")
    runner = NoopRunner(batch_s=options.batch_s)
    limits = BatchLimits(CPU_TOKENS, MAX_ITEMS, settings.max_padding, CPU_FREE_PADDING)
    worker = BatchWorker(
        connect(redis_url(settings)),
        preloaded({"noop": runner}),
        {"noop": limits},
        settings,
        lambda work: work(),
    )
    return 0 if worker.work() else 1


if __name__ == "__main__":
    sys.exit(main())
