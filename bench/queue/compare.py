"""Two trees of this project side by side: whether a change made the engine slower.

    git worktree add --detach ../before 1ce9a8e
    python -m bench.queue.compare before=../before now=.

Jobs that compute nothing go round a closed loop, in each tree by turns. Processor time is told beside the rate: on a
machine with other work the rate says little.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import redis

TOTAL = {16: 8000, 64: 15000}
"""Jobs of one run, by how many callers ask at once."""
PROCESSES = ("redis", "worker", "client")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "trees", nargs="+", metavar="NAME=FOLDER", help="the first is what the others are compared with"
    )
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    trees = {
        name: Path(folder).resolve() for name, _, folder in (each.partition("=") for each in options.trees)
    }
    for callers in TOTAL:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
        for turn in range(options.repeats):
            for name in list(trees)[:: 1 if turn % 2 == 0 else -1]:
                found[name].append(_in_tree(trees[name], callers))
        _tell(callers, found)


def _in_tree(folder: Path, callers: int) -> dict[str, float]:
    """One run with the tree's own code, and with this process's Python."""
    paths = [f"{folder}", *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", __file__, f"{callers}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _tell(callers: int, found: dict[str, list[dict[str, float]]]) -> None:
    first, *_ = found.values()
    print(
        f"{callers} callers, medians of {len(first)} (lowest to highest), ratio to the first tree run by run"
    )
    for figure in first[0]:
        print(f"  {figure}")
        for name, runs in found.items():
            values = [run[figure] for run in runs]
            ratio = statistics.median(now / before[figure] for now, before in zip(values, first, strict=True))
            spread = f"({min(values):,.1f} to {max(values):,.1f})"
            print(f"    {name:<12} {statistics.median(values):10,.1f}  {spread}  {ratio:.2f}")


def _module(*names: str) -> Any:
    """The first of these that the tree has: older ones have other names."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise SystemExit(f"none of these is here: {', '.join(names)}")


async def _measure(callers: int) -> dict[str, float]:
    engine, stack = _module("bench.queue.engine", "bench.engine"), importlib.import_module("bench.stack")
    worker_module = engine.__name__.replace("engine", "noop_worker")
    with stack.redis_server() as url:
        async with (
            stack.process(*stack.python("-m", worker_module), REDIS_URL=url) as worker,
            stack.job_queue(url, "noop") as queue,
        ):
            server: dict[str, Any] = redis.Redis.from_url(url).info("server")  # pyright: ignore
            pids = dict(zip(PROCESSES, (server["process_id"], worker.pid, os.getpid()), strict=True))
            await engine.closed_loop(queue, callers, 2000)  # warms up
            before = {name: _cpu_us(pid) for name, pid in pids.items()}
            seconds, _ = await engine.closed_loop(queue, callers, TOTAL[callers])
            spent = {name: (_cpu_us(pid) - before[name]) / TOTAL[callers] for name, pid in pids.items()}
    found = {"jobs/s": TOTAL[callers] / seconds}
    found |= {f"processor µs a job, {name}": spent[name] for name in PROCESSES}
    return found | {"processor µs a job, all": sum(spent.values())}


def _cpu_us(pid: int) -> float:
    """Of all its threads that live (Linux)."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks.iterdir()) / 1000


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].isdigit():  # in one of the trees
        uvloop: Any = importlib.import_module("uvloop")
        print(json.dumps(uvloop.run(_measure(int(sys.argv[1])))))
    else:
        main()
