"""The process that pulls, as the agent sees it."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from jobs.errors import JobCanceled
from jobs.machines.commands import Progress, PullModel
from jobs.process.parent_watch import ParentPipe
from tests.support.folders import ROOT
from workers.host import pull_process
from workers.host.pull_process import PullProcess

WAITS = 'import json, time; print(json.dumps({"status": "pulling"}), flush=True); time.sleep(20)'
SAYS = 'import json, os; print(json.dumps({"status": "success", "name": os.environ.get("COMPUTES", "")}))'


@pytest.fixture
def parent_fd() -> Iterator[int]:
    pipe = ParentPipe()
    yield pipe.read_fd
    pipe.close()


async def said(process: PullProcess) -> list[Progress]:
    async with asyncio.timeout(10):
        return [progress async for progress in process.run()]


async def test_one_that_is_cancelled_while_it_is_started_ends(parent_fd: int):
    process = PullProcess(PullModel(source="a/b"), os.environ, parent_fd, (sys.executable, "-c", WAITS))
    running = asyncio.create_task(said(process))
    await asyncio.sleep(0)  # it is being started
    process.cancel()

    assert isinstance((await running)[-1].failure(), JobCanceled)


@pytest.mark.parametrize(("quantise", "computes"), [("4", "yes"), ("", "")])
async def test_one_that_computes_has_the_library_for_it(
    parent_fd: int, monkeypatch: pytest.MonkeyPatch, quantise: str, computes: str
):
    def preloaded(environ: Mapping[str, str]) -> dict[str, str]:
        return {**environ, "COMPUTES": "yes"}

    monkeypatch.setattr(pull_process, "preload_openblas", preloaded)
    command = PullModel(source="a/b", quantise=quantise)  # pyright: ignore[reportArgumentType]

    assert (await said(PullProcess(command, os.environ, parent_fd, (sys.executable, "-c", SAYS))))[-1] == (
        Progress(status="success", name=computes)
    )


async def test_no_folder_of_this_machine_is_pulled_by_who_asks_from_elsewhere(parent_fd: int, tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "MLXQ_DATA": str(tmp_path)}

    end = (await said(PullProcess(PullModel(source=str(tmp_path / "model")), environ, parent_fd)))[-1]

    assert end.code == "bad_name", end
