"""A machine that is told what to do with its models."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import fakeredis
import pytest
from msgspec.structs import replace

from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.entry import CatalogueEntry
from jobs.catalogue.file import CatalogueFile
from jobs.client.inspector import QueueInspector
from jobs.errors import InternalError, InvalidInput, JobCanceled, QueueUnavailable, UnknownModel
from jobs.machines import redis as machines_redis
from jobs.machines.announcements import encode_model
from jobs.machines.commands import (
    CancelPull,
    CopyModel,
    CreateModel,
    Progress,
    PullModel,
    RemoveModel,
)
from jobs.machines.machines import carried_out, machine_id
from jobs.machines.redis import RedisMachines
from jobs.models import ModelInfo
from jobs.process.cancelling import cancel_and_wait
from jobs.store import keys, record
from tests.unit.workers.host.machine import told, until
from workers.host import progress as progress_module
from workers.host.agent import Agent


def names(tmp_path: Path) -> list[str]:
    return [entry.name for entry in CatalogueFile(tmp_path).read().entries]


def model(tmp_path: Path) -> Path:
    """A model in the catalogue, with files that mlxq put there."""
    folder = tmp_path / "models" / "poet"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    entry = CatalogueEntry(name="poet", folder=str(folder), pulled=True, created_at=1, modified_at=1)
    CatalogueFile(tmp_path).update(lambda it: it.with_entry(entry))
    return folder


async def test_a_machine_tells_its_catalogue_and_what_its_settings_name(
    machines: RedisMachines, agent: Agent, tmp_path: Path
):
    model(tmp_path)
    await agent.announce()

    [info] = await machines.live()
    assert info.id == agent.machine == machine_id(tmp_path)
    assert info.settings_models == ("MiniLM",)
    assert info.entries == CatalogueFile(tmp_path).read().entries
    assert abs(info.seen_at - time.time()) < 5


async def test_names_come_and_go_and_are_announced_before_the_caller_is_told(
    machines: RedisMachines, agent: Agent, tmp_path: Path
):
    folder = model(tmp_path)

    done = await told(machines, agent, CopyModel(source="poet", name="bard:latest"))
    assert done == Progress(status="success", name="bard")
    defaults = ModelDefaults("Rhyme.", {"temperature": 0.1})
    await told(machines, agent, CreateModel(name="sage", source="minilm", defaults=defaults, license="mit"))
    [info] = await machines.live()
    assert [each.name for each in info.entries] == names(tmp_path) == ["poet", "bard", "sage"]
    assert (info.entries[2].of, info.entries[2].defaults, info.entries[2].license) == (
        "MiniLM",
        defaults,
        "mit",
    )

    await told(machines, agent, RemoveModel(name="poet"))
    assert folder.exists()
    await told(machines, agent, RemoveModel(name="bard"))
    [info] = await machines.live()
    assert [each.name for each in info.entries] == names(tmp_path) == ["sage"]
    assert not folder.exists()


async def test_files_that_mlxq_did_not_put_there_stay(machines: RedisMachines, agent: Agent, tmp_path: Path):
    folder = model(tmp_path)
    CatalogueFile(tmp_path).update(
        lambda it: it.with_entry(CatalogueEntry(name="poet", folder=str(folder), created_at=1, modified_at=1))
    )

    await told(machines, agent, RemoveModel(name="poet"))
    assert names(tmp_path) == [] and (folder / "config.json").exists()


async def test_files_that_the_settings_need_stay(machines: RedisMachines, agent: Agent, tmp_path: Path):
    folder = model(tmp_path)
    CatalogueFile(tmp_path).update(lambda it: it.with_entry(replace(it.entries[0], source="org/kept")))

    await told(machines, agent, RemoveModel(name="poet"))
    assert names(tmp_path) == [] and (folder / "config.json").exists()


async def test_what_cannot_be_done_is_told(machines: RedisMachines, agent: Agent, tmp_path: Path):
    with pytest.raises(UnknownModel, match="model 'x' not found"):
        await told(machines, agent, CopyModel(source="x", name="y"))
    with pytest.raises(InvalidInput, match="no name for a model"):
        await told(machines, agent, CopyModel(source="MiniLM", name="../y"))
    with pytest.raises(InvalidInput, match="means MiniLM already"):
        await told(machines, agent, CopyModel(source="MiniLM", name="org/minilm"))
    with pytest.raises(InvalidInput, match="MLXQ_MODELS"):
        await told(machines, agent, RemoveModel(name="MiniLM"))
    (tmp_path / "catalogue.json").write_text("{")
    with pytest.raises(InternalError, match=r"catalogue\.json is damaged"):
        await told(machines, agent, CopyModel(source="MiniLM", name="y"))


async def test_a_pull_is_told_as_it_goes_on(machines: RedisMachines, agent: Agent, tmp_path: Path):
    command = PullModel(source="org/fast", name="quick", quantise="4", kind="llm", revision="v1")
    await machines.send(agent.machine, command)
    said = [progress async for progress in machines.follow(agent.machine, command.id)]

    assert said[0].status == "pulling manifest" and said[-1] == Progress(status="success", name="pulled")
    runs = (tmp_path / "runs").read_text().split()
    assert runs == [
        "--from-hub",
        "--as=quick",
        "--type=llm",
        "--quantize=4",
        "--revision=v1",
        "--",
        "org/fast",
    ]


async def test_two_callers_who_pull_the_same_follow_one_download(
    machines: RedisMachines, agent: Agent, tmp_path: Path
):
    commands = [PullModel(source="org/slow") for _ in range(2)]
    for command in commands:
        await machines.send(agent.machine, command)
    other = PullModel(source="org/fast")
    await told(machines, agent, other)  # another one goes on beside it
    (tmp_path / "runs.go").touch()

    for command in commands:
        said = [progress async for progress in machines.follow(agent.machine, command.id)]
        assert said[-1].status == "success"
    sources = [line.split()[-1] for line in (tmp_path / "runs").read_text().splitlines()]
    assert sorted(sources) == ["org/fast", "org/slow"]


async def test_a_cancelled_pull_ends_when_nobody_else_follows_it(
    machines: RedisMachines, agent: Agent, tmp_path: Path
):
    first, second = PullModel(source="org/slow"), PullModel(source="org/slow")
    for command in (first, second):
        await machines.send(agent.machine, command)
    await until((tmp_path / "runs").exists)

    for command, why in ((first, "another caller's goes on"), (second, "stays for the next try")):
        await told(machines, agent, CancelPull(command=command.id))
        said = [progress async for progress in machines.follow(agent.machine, command.id)]
        assert isinstance(said[-1].failure(), JobCanceled) and why in said[-1].error
    with pytest.raises(InvalidInput, match="no such pull"):
        await told(machines, agent, CancelPull(command=first.id))


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("org/gated", Progress(error="It is gated.", code="gated", hint="Log in.")),
        (
            "org/dies",
            Progress(
                error="The pull ended unexpectedly (exit code 3): the server's log says more.",
                hint="Pull again: what is downloaded stays.",
                code="internal_error",
            ),
        ),
    ],
)
async def test_why_a_pull_failed_is_told(machines: RedisMachines, agent: Agent, source: str, end: Progress):
    command = PullModel(source=source)
    await machines.send(agent.machine, command)
    said = [progress async for progress in machines.follow(agent.machine, command.id)]

    assert said[-1] == end


async def test_a_machine_that_does_not_answer_is_named_and_does_not_do_it_later(
    server: fakeredis.FakeServer, machines: RedisMachines, monkeypatch: pytest.MonkeyPatch
):
    other = CopyModel(source="c", name="d")
    await machines.send("gone", other)
    monkeypatch.setattr(machines_redis, "SILENT_S", 0.05)
    with pytest.raises(QueueUnavailable, match=r"The machine gone does not answer: look whether"):
        await carried_out(machines, "gone", CopyModel(source="a", name="b"))
    left = fakeredis.FakeRedis(server=server).lrange(keys.machine_commands("gone"), 0, -1)
    assert left == [record.pack(other)]


async def test_a_second_agent_waits_for_the_first_which_tells_what_both_serve(
    server: fakeredis.FakeServer, machines: RedisMachines, agent: Agent, tmp_path: Path
):
    second = Agent(
        fakeredis.FakeAsyncRedis(server=server), tmp_path, ("Other",), {}, 0, needed=("org/other",)
    )
    running = asyncio.create_task(second.run())
    await asyncio.sleep(0.1)
    await agent.announce()

    [info] = await machines.live()
    assert info.settings_models == ("MiniLM", "Other")
    await told(machines, agent, CopyModel(source="other", name="another"))
    with pytest.raises(InvalidInput, match="MLXQ_MODELS"):
        await told(machines, agent, RemoveModel(name="Other"))

    await cancel_and_wait(running)
    await agent.announce()
    [info] = await machines.live()
    assert info.settings_models == ("MiniLM",)


async def test_a_machine_that_was_stopped_cannot_be_told_anything_but_its_names_stay(
    server: fakeredis.FakeServer, machines: RedisMachines, tmp_path: Path
):
    redis = fakeredis.FakeAsyncRedis(server=server)
    info = ModelInfo(id="MiniLM", task="embed", created=1, dimensions=3, max_tokens=9)
    await redis.hset(keys.MODELS, "MiniLM", encode_model(info, time.time()))
    entry = CatalogueEntry(name="poet", of="MiniLM", created_at=1, modified_at=1)
    CatalogueFile(tmp_path).update(lambda it: it.with_entry(entry))
    agent = Agent(redis, tmp_path, ("MiniLM",), {}, 0)
    running = asyncio.create_task(agent.run())
    await until(lambda: fakeredis.FakeRedis(server=server).hexists(keys.MACHINES, agent.machine))
    assert [each.id for each in await machines.live()] == [agent.machine]

    await cancel_and_wait(running)

    assert await machines.live() == ()
    models = await QueueInspector(redis, limit=9).models()
    assert [each.id for each in models] == ["MiniLM", "poet"]


async def test_what_the_agent_before_did_is_over(
    server: fakeredis.FakeServer, machines: RedisMachines, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(machines_redis, "SILENT_S", 0.1)
    before = progress_module.ProgressWriter(fakeredis.FakeAsyncRedis(server=server), "the one before")
    await before.write(["c"], Progress(status="pulling", completed=4, total=10))

    async with asyncio.timeout(5):
        said = [progress async for progress in machines.follow(agent.machine, "c")]

    assert said[0] == Progress(status="pulling", completed=4, total=10)
    assert isinstance(said[-1].failure(), InternalError) and "goes on where it was" in said[-1].sentence


class CountingRedis(fakeredis.FakeAsyncRedis):
    written: Sequence[str] = ()

    def pipeline(self, *args: object, **kwargs: object):
        self.written = [*self.written, "pipeline"]
        return super().pipeline(*args, **kwargs)  # pyright: ignore


async def test_progress_is_written_twice_a_second_at_most_and_its_end_always(monkeypatch: pytest.MonkeyPatch):
    redis = CountingRedis(server=fakeredis.FakeServer())
    writer = progress_module.ProgressWriter(redis, "a")
    now = 100.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)

    for number in range(100):
        now += 0.01
        await writer.write(["c"], Progress(status="pulling", completed=number))
    assert len(redis.written) == 2
    await writer.write(["c"], Progress(status="success"))
    assert len(redis.written) == 3
