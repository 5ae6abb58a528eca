"""The agent beside the server's other tasks."""

import asyncio
from pathlib import Path

import pytest

from cli.processes import agent as agent_process
from jobs.process.cancelling import cancel_and_wait
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings


async def test_an_agent_that_fails_is_started_again_and_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(agent_process, "RETRY_S", 0.01)
    settings = Settings(data=tmp_path / "file" / "data", redis_url="redis://127.0.0.1:1")
    pipe = ParentPipe()
    running = asyncio.create_task(agent_process.run_agent(settings, (), pipe))
    await asyncio.sleep(0.2)

    assert not running.done()
    assert sum("agent of this machine failed" in each.message for each in caplog.records) > 1
    await cancel_and_wait(running)
    pipe.close()


async def test_it_knows_what_the_settings_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[object] = []

    class Stub:
        def __init__(self, *_: object, needed: object) -> None:
            made.append(needed)

        async def run(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(agent_process, "Agent", Stub)
    settings = Settings(
        data=tmp_path, redis_url="redis://127.0.0.1:1", models=("q=org/kept,draft=org/small",)
    )
    pipe = ParentPipe()
    running = asyncio.create_task(agent_process.run_agent(settings, ("q",), pipe))
    await asyncio.sleep(0.01)

    await cancel_and_wait(running)
    pipe.close()
    assert made == [{"org/kept", "org/small"}]
