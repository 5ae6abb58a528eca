"""`python -m tests.chaos [--long | --failover | --ingest] [--seed N]`: a chaos run. Exit code 1 on any violation."""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.driver import Driver
from tests.chaos.faults.sentinels import Sentinels
from tests.chaos.faults.site import OneServer
from tests.chaos.ingest.driver import IngestDriver
from tests.chaos.plan import failover, long, short


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--long", action="store_true", help="at least 50,000 jobs and 100 kills")
    length.add_argument("--failover", action="store_true", help="a primary that dies, under real sentinels")
    length.add_argument(
        "--ingest",
        action="store_true",
        help="1,000 pages into a collection, and 40 kills of all that takes part",
    )
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="default: a random one, printed"
    )
    options = parser.parse_args()
    if options.ingest:
        return ingest(options.seed)
    plan = (long if options.long else failover if options.failover else short)(options.seed)
    print(plan, flush=True)
    started = time.monotonic()

    def say(step: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {step}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="mlxq-chaos-"))
    site = Sentinels(folder) if options.failover else OneServer(folder, plan.seed)
    report = asyncio.run(Driver(plan, site, folder, say).run())
    print(report)
    print(f"logs and data: {folder}")
    return 1 if report.violations else 0


def ingest(seed: int) -> int:
    print(f"seed {seed}", flush=True)
    started = time.monotonic()

    def say(step: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {step}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="mlxq-chaos-"))
    report = asyncio.run(IngestDriver(folder, pages=1000, kills=40, seed=seed, say=say).run())
    print(report)
    print(f"logs and data: {folder}")
    return 0 if report.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
