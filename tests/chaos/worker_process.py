"""A worker process of the chaos run: the real BatchWorker with the ChaosRunner."""

import argparse
import logging
import os
import secrets
import sys
from pathlib import Path

from jobs.process.log import set_up_logging
from jobs.process.parent_watch import exit_with_parent
from jobs.settings import Settings
from jobs.store import record
from jobs.store.connection import connect
from tests.chaos.generator import chaos_generator
from tests.chaos.plan import MODEL, TEXT_MODEL
from tests.chaos.runner import ChaosRunner, UnloadableRunner
from workers.models.memory.eviction import ModelChange
from workers.models.model_cache import ModelCache, preloaded
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker

log = logging.getLogger("tests.chaos")

LIMITS = BatchLimits(tokens=4096, items=64, padding=0.5, free_padding=512)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True, help="the part of the worker's name that a restart keeps")
    parser.add_argument("--settings", required=True, help="as JSON")
    parser.add_argument("--newer", action="store_true", help="it is of the next version of records")
    parser.add_argument("--without-model", action="store_true", help="its model's weights cannot be read")
    options = parser.parse_args()
    exit_with_parent(options.parent_fd, grace_s=1)
    set_up_logging("INFO")
    log.info("worker starts")
    record.VERSION += options.newer
    if options.without_model:
        models = ModelCache({MODEL: UnloadableRunner(options.folder)}, budget_bytes=1)
        models.begin_change(ModelChange(load=MODEL, unload=()))  # otherwise it may leave that to the others
        models.carry_out(lambda _: False, lambda: True)
    else:
        models = preloaded({MODEL: ChaosRunner(options.folder), TEXT_MODEL: chaos_generator()})
    worker = BatchWorker(
        connect(options.url),
        models,
        {MODEL: LIMITS},
        Settings.model_validate_json(options.settings),
        lambda work: work(),
        name=f"{options.name}.{os.getpid()}.{secrets.token_hex(2)}",
    )
    return 0 if worker.work() else 1


if __name__ == "__main__":
    sys.exit(main())
