import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.folders import ROOT
from tests.support.waiting import until, wait_until
from workers.supervisor import CONFIGURATION_ERROR, Supervisor, restart_delay_s


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def lines_of(path: Path, count: int) -> list[str]:
    """What the children wrote, once there is enough of it."""

    def enough() -> list[str] | None:
        lines = path.read_text().splitlines() if path.exists() else []
        return lines if len(lines) >= count else None

    return await until(enough)


def noting(path: Path, then: str) -> list[str]:
    """A child that appends its pid to `path` and goes on with `then`."""
    return python(
        f"import os, signal, sys, time\nopen({str(path)!r}, 'a').write(f'{{os.getpid()}}\\n')\n{then}"
    )


async def test_a_child_that_dies_is_replaced(tmp_path: Path):
    supervisor = Supervisor("child", noting(tmp_path / "pids", "time.sleep(60)"), os.environ)
    running = asyncio.create_task(supervisor.run())
    [first] = await lines_of(tmp_path / "pids", 1)

    os.kill(int(first), signal.SIGKILL)
    second = (await lines_of(tmp_path / "pids", 2))[1]
    supervisor.stop()

    assert await running == 0
    assert first != second
    assert not psutil.pid_exists(int(second))


async def test_who_is_to_know_of_a_death_is_told_the_pid_and_does_not_hold_the_next_child_up(tmp_path: Path):
    told: list[int] = []
    release = asyncio.Event()

    async def on_death(pid: int) -> None:
        told.append(pid)
        await release.wait()
        raise RuntimeError("which ends nothing")

    command = noting(tmp_path / "pids", "time.sleep(60)")
    supervisor = Supervisor("child", command, os.environ, on_death=on_death)
    running = asyncio.create_task(supervisor.run())
    [first] = await lines_of(tmp_path / "pids", 1)

    os.kill(int(first), signal.SIGKILL)
    await lines_of(tmp_path / "pids", 2)
    assert told == [int(first)]
    release.set()
    supervisor.stop()

    assert await running == 0


async def test_a_child_that_ends_well_is_no_death(tmp_path: Path):
    told: list[int] = []

    async def on_death(pid: int) -> None:
        told.append(pid)

    then = "signal.signal(15, lambda *_: sys.exit(0))\nopen(os.environ['UP'], 'w').write('up\\n')\ntime.sleep(60)"
    environ = {**os.environ, "UP": str(tmp_path / "up")}
    supervisor = Supervisor("child", noting(tmp_path / "pids", then), environ, on_death=on_death)
    running = asyncio.create_task(supervisor.run())
    await lines_of(tmp_path / "up", 1)
    supervisor.stop()

    assert await running == 0
    assert told == []


async def test_a_configuration_error_is_not_tried_again(tmp_path: Path):
    supervisor = Supervisor(
        "child", noting(tmp_path / "pids", f"sys.exit({CONFIGURATION_ERROR})"), os.environ
    )

    assert await supervisor.run() == CONFIGURATION_ERROR
    assert len(await lines_of(tmp_path / "pids", 1)) == 1


async def test_stop_lets_the_child_finish(tmp_path: Path):
    then = (
        "def finish(*_):\n    open(os.environ['DONE'], 'w').write('done')\n    sys.exit(0)\n"
        "signal.signal(15, finish)\nopen(os.environ['UP'], 'w').write('up\\n')\ntime.sleep(60)"
    )
    environ = {**os.environ, "DONE": str(tmp_path / "done"), "UP": str(tmp_path / "up")}
    supervisor = Supervisor("child", noting(tmp_path / "pids", then), environ)
    running = asyncio.create_task(supervisor.run())
    await lines_of(tmp_path / "up", 1)

    supervisor.stop()

    assert await running == 0
    assert (tmp_path / "done").read_text() == "done"


async def test_a_child_that_ignores_sigterm_is_killed_in_the_end(tmp_path: Path):
    then = "signal.signal(15, signal.SIG_IGN)\nopen(os.environ['UP'], 'w').write('up\\n')\ntime.sleep(60)"
    environ = {**os.environ, "UP": str(tmp_path / "up")}
    supervisor = Supervisor("child", noting(tmp_path / "pids", then), environ, stop_s=0.2)
    running = asyncio.create_task(supervisor.run())
    await lines_of(tmp_path / "up", 1)

    supervisor.stop()

    assert await running == 0
    [pid] = await lines_of(tmp_path / "pids", 1)
    assert not psutil.pid_exists(int(pid))


def test_the_first_death_costs_no_wait_and_many_cost_at_most_five_seconds():
    delays = [restart_delay_s(deaths) for deaths in range(1, 12)]

    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] == 5


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_child_ends_when_its_parent_is_killed(stubborn: bool):
    child = (
        "import signal, sys, time; from jobs.process.parent_watch import exit_with_parent\n"
        f"signal.signal(15, signal.SIG_IGN if {stubborn} else signal.SIG_DFL)\n"
        "exit_with_parent(int(sys.argv[1]), grace_s=0.2); print('up', flush=True); time.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time; from jobs.process.parent_watch import ParentPipe\n"
        "pipe = ParentPipe(); fd = pipe.read_fd\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1], str(fd)], pass_fds=[fd])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([*python(parent), child], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = sorted([process.stdout.readline().strip(), process.stdout.readline().strip()])
    pid = int(said[0])

    process.kill()
    process.wait()
    process.stdout.close()

    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
