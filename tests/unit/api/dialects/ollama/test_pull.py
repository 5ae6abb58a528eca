"""/api/pull: machines are told, and their progress goes out in Ollama's words."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from jobs.machines.commands import CancelPull, Progress, PullModel
from jobs.machines.machines import MachineInfo, machine_id
from jobs.settings import Settings
from tests.support.chat_requests import Caller
from tests.support.memory_queue import MemoryQueue
from tests.support.waiting import within
from tests.unit.api.conftest import Connect
from tests.unit.api.dialects.ollama.requests import lines

BIG, SMALL = f"sha256:{'a' * 64}", f"git:{'b' * 40}"
AWAY = Progress(error="org/x is gated.", code="gated", hint="Log in.")


@pytest.fixture
def queue() -> MemoryQueue:
    queue = MemoryQueue()
    queue.machines.infos = [MachineInfo("mac.1", 0), MachineInfo("studio.2", 0)]
    queue.machines.answers = (
        Progress(status="pulling manifest"),
        Progress(status="pulling aaa", digest=BIG, files={BIG: (0, 10)}),
        Progress(status="pulling bbb", digest=SMALL, files={BIG: (10, 10), SMALL: (2, 2)}),
        Progress(status="writing manifest", files={BIG: (10, 10), SMALL: (2, 2)}),
        Progress(status="success", name="org/x", files={BIG: (10, 10), SMALL: (2, 2)}),
    )
    return queue


async def pull(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/api/pull", json={"model": "org/x", **fields})


async def test_each_files_progress_and_each_step_is_a_line(connect: Connect, queue: MemoryQueue):
    assert lines(await pull(connect(queue))) == [
        {"status": "pulling manifest"},
        {"status": "pulling aaaaaaaaaaaa", "digest": BIG, "total": 10, "completed": 0},
        {"status": "pulling aaaaaaaaaaaa", "digest": BIG, "total": 10, "completed": 10},
        {"status": "pulling bbbbbbbbbbbb", "digest": SMALL, "total": 2, "completed": 2},
        {"status": "writing manifest"},
        {"status": "success"},
    ]


async def test_without_a_stream_the_end_alone_is_told(connect: Connect, queue: MemoryQueue):
    assert (await pull(connect(queue), stream=False)).json() == {"status": "success"}


async def test_a_failure_is_a_line_with_what_to_do_or_a_status(connect: Connect, queue: MemoryQueue):
    queue.machines.answers = (Progress(status="pulling manifest"), AWAY)
    client = connect(queue)

    assert lines(await pull(client)) == [{"status": "pulling manifest"}, {"error": "org/x is gated. Log in."}]
    reply = await pull(client, stream=False)
    assert (reply.status_code, reply.json()) == (400, {"error": "org/x is gated. Log in."})


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not_found", 404),
        ("no_revision", 404),
        ("offline", 502),
        ("disk_full", 500),
        ("gated", 400),
        ("queue_full", 429),
    ],
)
async def test_a_pulls_own_codes_have_a_status(connect: Connect, queue: MemoryQueue, code: str, status: int):
    queue.machines.answers = (Progress(error="It failed.", code=code),)

    reply = await pull(connect(queue), stream=False)

    assert (reply.status_code, reply.json()) == (status, {"error": "It failed."})


async def test_fields_become_the_command(connect: Connect, queue: MemoryQueue):
    fields = {"rename": "chat", "type": "llm", "quantize": "4", "revision": "v1", "insecure": True}

    await pull(connect(queue), **fields, on="studio")

    ((machine, command),) = queue.machines.sent
    assert machine == "studio.2"
    assert isinstance(command, PullModel)
    assert (command.source, command.name, command.kind) == ("org/x", "chat", "llm")
    assert (command.quantise, command.revision) == ("4", "v1")


async def test_the_old_name_of_the_field_will_do(connect: Connect, queue: MemoryQueue):
    await connect(queue).post("/api/pull", json={"name": "org/x"})

    assert isinstance(command := queue.machines.sent[0][1], PullModel)
    assert command.source == "org/x"


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ("", ["mac.1"]),
        ("studio.2", ["studio.2"]),
        ("studio.4711.abcd", ["studio.2"]),
        ("all", ["mac.1", "studio.2"]),
    ],
)
async def test_machines_are_named_by_themselves_or_a_worker(
    connect: Connect, queue: MemoryQueue, on: str, told: list[str]
):
    await pull(connect(queue), on=on)

    assert [machine for machine, _ in queue.machines.sent] == told


async def test_without_a_name_it_is_the_servers_own_machine(
    connect: Connect, queue: MemoryQueue, tmp_path: Path
):
    own = machine_id(tmp_path)
    queue.machines.infos.append(MachineInfo(own, 0))

    await pull(connect(queue, data=tmp_path))

    assert [machine for machine, _ in queue.machines.sent] == [own]


async def test_on_several_machines_lines_tell_which_and_one_failure_is_the_end(
    connect: Connect, queue: MemoryQueue
):
    queue.machines.answers_of["mac.1"] = (Progress(status="pulling manifest"), AWAY)

    said = lines(await pull(connect(queue), on="all"))

    assert {"status": "pulling manifest", "machine": "mac.1"} in said
    assert {"status": "writing manifest", "machine": "studio.2"} in said
    assert said[-1] == {"error": "org/x is gated. Log in."}


@pytest.mark.parametrize(
    ("fields", "status", "complaint"),
    [
        ({"model": ""}, 400, "model is missing"),
        ({"model": "/etc"}, 400, "mlxq pull FOLDER"),
        ({"model": "docs/../../../../etc"}, 400, "mlxq pull FOLDER"),
        ({"model": "../docs"}, 400, "mlxq pull FOLDER"),
        ({"model": "~/docs"}, 400, "mlxq pull FOLDER"),
        ({"name": "org/a\0b", "model": ""}, 400, "ORGANISATION/NAME"),
        ({"model": "org/a\n"}, 400, "ORGANISATION/NAME"),
        ({"model": "x" * 5_000_000}, 400, "ORGANISATION/NAME"),
        ({"rename": "a\0b"}, 400, "no name for a model"),
        ({"revision": "a\0b"}, 400, "no branch, tag or commit"),
        ({"revision": "../../blobs"}, 400, "no branch, tag or commit"),
        ({"on": "nowhere"}, 400, "There is no machine 'nowhere'. There is: mac.1, studio.2"),
        ({"quantize": "5"}, 400, "quantize"),
    ],
)
async def test_what_cannot_be_done_is_said_before_anything_is(
    connect: Connect, queue: MemoryQueue, fields: dict[str, str], status: int, complaint: str
):
    reply = await pull(connect(queue), **fields)

    assert reply.status_code == status and complaint in reply.json()["error"]
    assert queue.machines.sent == []


async def test_without_any_machine_it_says_what_to_start(connect: Connect, queue: MemoryQueue):
    queue.machines.infos = []

    reply = await pull(connect(queue))

    assert reply.status_code == 503 and "Start one" in reply.json()["error"]


@pytest.mark.parametrize("name", ["org/x", "org/x:latest", "all-MiniLM-L6-v2", "a.b/c_d-e.1"])
async def test_names_of_the_hub_are_taken(connect: Connect, queue: MemoryQueue, name: str):
    assert (await pull(connect(queue), model=name)).status_code == 200

    assert [command.source for _, command in queue.machines.sent if isinstance(command, PullModel)] == [name]


async def test_a_revision_may_be_any_that_git_takes(connect: Connect, queue: MemoryQueue):
    assert (await pull(connect(queue), revision="refs/pr/1")).status_code == 200


async def test_a_connection_that_is_lost_is_no_success(
    connect: Connect, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch
):
    async def follow(machine: str, command_id: str) -> AsyncGenerator[Progress]:
        yield Progress(status="pulling manifest")
        raise TimeoutError

    monkeypatch.setattr(queue.machines, "follow", follow)
    client = connect(queue)

    assert (await pull(client, stream=False)).status_code == 500
    assert [*lines(await pull(client))[-1]] == ["error"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_caller_that_leaves_ends_the_pull(queue: MemoryQueue, stream: bool):
    queue.machines.answers = (Progress(status="pulling manifest"),)
    queue.machines.goes_on = True
    caller = Caller(create_app(queue, Settings()), "POST", "/api/pull", {"model": "org/x", "stream": stream})
    if stream:
        assert (await caller.message())["status"] == 200
        assert json.loads(await caller.body()) == {"status": "pulling manifest"}

    caller.disconnect()
    await within(caller.task)

    (_, command), (machine, cancel) = queue.machines.sent
    assert cancel == CancelPull(id=cancel.id, command=command.id)
    assert machine == "mac.1"
