"""Commands on models, from their start to their end, beside a Python that does nothing."""

import os
import subprocess
import sys
import time

from bench.report import Row, median
from bench.stack import ROOT, api, process, python, redis_server

RUNS = 5
"""Of each command, in each repeat. They take turns: the speed of a shared machine drifts."""
MODEL = "tiny-chat"
COMMANDS = (
    ("-c", "pass"),
    ("-m", "cli.main", "--help"),
    ("-m", "cli.main", "list"),
    ("-m", "cli.main", "ps"),
    ("-m", "cli.main", "show", MODEL),
    ("-m", "cli.main", "alias"),
)


async def measure(repeats: int) -> list[Row]:
    folder = ROOT / "examples" / "tiny_chat" / "model"
    worker = python("-m", "cli.main", "worker", "--model", f"{MODEL}={folder}")
    with redis_server() as url:
        async with process(*worker, REDIS_URL=url), api(url) as port:
            taken = take_turns(port, RUNS * repeats)
    return [
        Row(
            name, {"s": median([wall for wall, _ in runs]), "s of a core": median([core for _, core in runs])}
        )
        for name, runs in taken.items()
    ]


def take_turns(port: int, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds, and seconds of a core, of each run of each command."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "MLXQ_PORT": str(port)}
    taken: dict[str, list[tuple[float, float]]] = {}
    for turn in range(turns + 1):
        for command in COMMANDS:
            before, started = os.times(), time.perf_counter()
            subprocess.run([sys.executable, *command], env=environ, stdout=subprocess.DEVNULL, check=True)
            wall, after = time.perf_counter() - started, os.times()
            core = sum(after[2:4]) - sum(before[2:4])
            if turn:  # the first reads files from the disk
                taken.setdefault(_name(command), []).append((wall, core))
    return taken


def _name(command: tuple[str, ...]) -> str:
    return "python -c pass" if command[0] == "-c" else f"mlxq {' '.join(command[2:])}"
