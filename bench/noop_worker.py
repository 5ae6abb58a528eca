"""A worker whose model computes nothing: `python -m bench.noop_worker`, with REDIS_URL set."""

import sys

from bench.noop import NoopRunner
from jobs.process.log import set_up_logging
from jobs.settings import Settings
from jobs.store.connection import connect, redis_url
from workers.models.model_cache import preloaded
from workers.scheduling.device_limits import CPU_FREE_PADDING, CPU_TOKENS, MAX_ITEMS
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker


def main() -> int:
    settings = Settings()
    set_up_logging("WARNING")
    runner = NoopRunner()
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
