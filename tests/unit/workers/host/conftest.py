"""A machine, its agent, and whoever tells it something."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import fakeredis
import pytest

from jobs.machines.redis import RedisMachines
from jobs.process.cancelling import cancel_and_wait
from jobs.process.parent_watch import ParentPipe
from jobs.store import keys
from tests.unit.workers.host.machine import until
from workers.host.agent import Agent

PULL = """
import json, os, sys, time
print(json.dumps({"status": "pulling manifest", "total": 10, "arguments": sys.argv[1:]}), flush=True)
print("no JSON", flush=True)
with open(os.environ["RUNS"], "a") as runs:
    print(*sys.argv[3:], file=runs)
if sys.argv[-1] == "org/slow":
    while not os.path.exists(os.environ["RUNS"] + ".go"):
        time.sleep(0.02)
if sys.argv[-1] == "org/talks":
    print("x" * 2_000_000, flush=True)
if sys.argv[-1] == "org/dies":
    sys.exit(3)
if sys.argv[-1] == "org/gated":
    print(json.dumps({"error": "It is gated.", "code": "gated", "hint": "Log in."}))
else:
    print(json.dumps({"status": "success", "name": "pulled"}))
"""


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
async def machines(server: fakeredis.FakeServer) -> RedisMachines:
    return RedisMachines(fakeredis.FakeAsyncRedis(server=server), contextlib.nullcontext)


@pytest.fixture
async def agent(server: fakeredis.FakeServer, tmp_path: Path) -> AsyncIterator[Agent]:
    pipe = ParentPipe()
    program = (sys.executable, "-c", PULL)
    environ = {**os.environ, "RUNS": str(tmp_path / "runs")}
    agent = Agent(
        fakeredis.FakeAsyncRedis(server=server),
        tmp_path,
        ("MiniLM",),
        environ,
        pipe.read_fd,
        program,
        needed=("org/kept",),
    )
    running = asyncio.create_task(agent.run())
    await until(lambda: fakeredis.FakeRedis(server=server).hexists(keys.MACHINES, agent.machine))
    yield agent
    await cancel_and_wait(running)
    pipe.close()
