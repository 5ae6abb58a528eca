"""A newcomer's first minutes, on a busy machine: `python3 -m tests.fresh_clone --load 8 --times 3`.

Clones the repository, with nothing but Python on the PATH, and runs the README's own commands in it, beside as many
busy processes as asked. Prints how long each took. Needs the standard library alone.

On two cores one turn beside eight busy processes takes more than an hour. `--load 5 --times 3 --at-once` is as busy:
the three clones load the machine for each other.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = ("make demo", "make test")
HELPFUL = ("mlxq", "uv", "redis-", "valkey-")
"""What commands begin with that a newcomer does not have."""


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that compute, on top of whatever else the machine does."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def clone_to(folder: Path) -> None:
    """What is committed."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)


def bare_environ(tools: Path) -> dict[str, str]:
    """Of a shell that finds this Python and the system's own tools, and nothing that would help this project.

    tools: an empty folder.
    """
    python = tools / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    folders = [bare_folder(Path(folder), tools / f"path{number}") for number, folder in enumerate(path)]
    dropped = ("MLXQ_", "REDIS_URL", "LD_PRELOAD", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PATH": os.pathsep.join(map(str, [tools, *folders]))}


def bare_folder(folder: Path, copy: Path) -> Path:
    """The same, or where it holds what would help, a copy in links without it."""
    if not folder.is_dir() or not any(each.name.startswith(HELPFUL) for each in folder.iterdir()):
        return folder
    copy.mkdir()
    for each in folder.iterdir():
        if not each.name.startswith(HELPFUL):
            (copy / each.name).symlink_to(each)
    return copy


def run(command: str, folder: Path, environ: dict[str, str], log: Path) -> tuple[int, float]:
    """Exit code, seconds. What it says goes to the log."""
    started = time.monotonic()
    with log.open("w") as out:
        done = subprocess.run(
            command.split(), cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    return done.returncode, time.monotonic() - started


def take_a_turn(turn: int, commands: Sequence[str]) -> int:
    """Runs the commands in a clone of its own. How many failed."""
    failures = 0
    with tempfile.TemporaryDirectory(prefix="mlxq-clone-") as name:
        folder, tools = Path(name) / "mlxq", Path(name) / "bin"
        tools.mkdir()
        environ = bare_environ(tools)
        clone_to(folder)
        for command in commands:
            log = Path(name) / "said.log"
            code, seconds = run(command, folder, environ, log)
            said = log.read_text(errors="replace").splitlines()
            load = os.getloadavg()[0]
            print(
                f"{turn}  {command:12} exit {code}  {seconds:6.0f} s  load {load:4.1f}  {said[-1:]}",
                flush=True,
            )
            if code:
                failures += 1
                print("\n".join(said[-80:]), flush=True)
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fresh_clone", description=__doc__)
    parser.add_argument("--load", type=int, default=8, metavar="N", help="busy processes beside (8)")
    parser.add_argument("--times", type=int, default=3, metavar="N", help="fresh clones (3)")
    parser.add_argument("--at-once", action="store_true", help="not one after the other")
    parser.add_argument(
        "--command", action="append", dest="commands", help="instead of make demo and make test"
    )
    options = parser.parse_args(arguments)
    commands = options.commands or COMMANDS
    with busy(options.load), ThreadPoolExecutor(options.times if options.at_once else 1) as turns:
        done = [turns.submit(take_a_turn, turn, commands) for turn in range(1, options.times + 1)]
        return 1 if sum(each.result() for each in done) else 0


if __name__ == "__main__":
    sys.exit(main())
