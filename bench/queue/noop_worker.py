"""A worker whose models compute nothing: `python -m bench.queue.noop_worker [--batch-s S] [--chat]`, with REDIS_URL."""

import argparse
import os
import sys

from bench.queue.noop import GENERATOR, NoopRunner
from jobs.process.log import set_up_logging
from jobs.settings import Settings
from jobs.store.connection import connect, redis_url
from tests.support.fake_generator import FakeGenerator
from workers.models.model_cache import preloaded
from workers.queue.worker_name import worker_name
from workers.scheduling.device_limits import CPU_FREE_PADDING, CPU_TOKENS, MAX_ITEMS
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker

STEP_S = 0.02
"""A step of all answers takes so long."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-s", type=float, default=0.0, help="a batch takes so long, without the CPU")
    parser.add_argument("--chat", action="store_true", help="serve a generator, too")
    options = parser.parse_args()
    settings = Settings()
    set_up_logging("WARNING")
    runner = NoopRunner(batch_s=options.batch_s)
    models: dict[str, NoopRunner | FakeGenerator] = {"noop": runner}
    if options.chat:
        models[GENERATOR] = generator = FakeGenerator(GENERATOR)
        generator.decoder.pause_s = STEP_S
    limits = BatchLimits(CPU_TOKENS, MAX_ITEMS, settings.max_padding, CPU_FREE_PADDING)
    worker = BatchWorker(
        connect(redis_url(settings)),
        preloaded(models),
        {"noop": limits},
        settings,
        lambda work: work(),
        name=worker_name(os.getpid(), "bench"),
    )
    return 0 if worker.work() else 1


if __name__ == "__main__":
    sys.exit(main())
