"""What a machine's agent survives, and what its callers are told of it."""

import asyncio
import time

import fakeredis
import pytest

from jobs.errors import InternalError
from jobs.machines import redis as machines_redis
from jobs.machines.commands import CopyModel, CreateModel, Progress, PullModel, RemoveModel
from jobs.machines.redis import RedisMachines
from jobs.store import keys
from tests.unit.workers.host.machine import told, until
from workers.host import agent as agent_module
from workers.host.agent import Agent


@pytest.mark.parametrize("source", ["a\0b", "org/talks"])
async def test_whoever_pulls_is_told_when_the_process_cannot_be_started_or_read(
    machines: RedisMachines, agent: Agent, source: str
):
    with pytest.raises(InternalError, match="server's log"):
        await told(machines, agent, PullModel(source=source))
    assert (await told(machines, agent, PullModel(source="org/fast"))).status == "success"


async def test_a_command_that_fails_unexpectedly_is_not_the_last(
    machines: RedisMachines, agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object) -> str:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no ref")

    with monkeypatch.context() as patched:
        patched.setattr(agent._changes, "carry_out", fail)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(InternalError):
            await told(machines, agent, RemoveModel(name="x"))
        patched.setattr(agent._pulls, "follow", fail)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(InternalError):
            await told(machines, agent, PullModel(source="org/fast"))

    assert "no ref" in caplog.text
    assert (await told(machines, agent, CopyModel(source="MiniLM", name="x"))).status == "success"


async def test_an_announcement_that_fails_unexpectedly_is_not_the_last(
    agent: Agent, server: fakeredis.FakeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(agent_module, "ANNOUNCE_S", 0.02)
    failed: list[bool] = []

    async def fail() -> None:
        failed.append(True)
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(agent, "announce", fail)
        await agent._announce_or_log()  # pyright: ignore[reportPrivateUsage]
        await until(lambda: len(failed) > 1)
    redis = fakeredis.FakeRedis(server=server)
    redis.delete(keys.MACHINES)
    await until(lambda: redis.hexists(keys.MACHINES, agent.machine))


async def test_one_that_takes_long_is_waited_for_and_so_is_the_next(
    machines: RedisMachines, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(machines_redis, "SILENT_S", 0.1)
    carry_out = agent._changes.carry_out  # pyright: ignore[reportPrivateUsage]

    def slowly(command: CopyModel | CreateModel | RemoveModel) -> str:
        time.sleep(0.4)
        return carry_out(command)

    monkeypatch.setattr(agent._changes, "carry_out", slowly)  # pyright: ignore[reportPrivateUsage]
    commands = [CopyModel(source="MiniLM", name=name) for name in ("a", "b")]

    ends = await asyncio.gather(*(told(machines, agent, command) for command in commands))

    assert ends == [Progress(status="success", name=name) for name in ("a", "b")]
