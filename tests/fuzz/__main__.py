"""`python -m tests.fuzz [--minutes N] [--seed N]`: schemathesis against real processes. Exit code 1 on any problem."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long; default 5")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="default: a random one, printed"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mlxq-fuzz-"))
    duration_s = round(options.minutes * 60)
    print(f"seed {options.seed}, {duration_s} s; logs and events: {folder}", flush=True)
    report = fuzz(
        folder,
        *("--seed", str(options.seed), "--max-time", str(duration_s)),
        timeout_s=duration_s + 600,
        show=True,
    )
    print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
