"""`mlxq pull --on`: the server is asked, and what machines say is shown."""

import json

import pytest

from jobs.machines.commands import Progress, PullModel
from jobs.machines.machines import MachineInfo
from tests.support.memory_queue import MemoryQueue
from tests.unit.cli.conftest import Ask

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def told(queue: MemoryQueue) -> MemoryQueue:
    queue.machines.sent.clear()
    queue.machines.infos = [MachineInfo("mac.1", 0), MachineInfo("studio.2", 0)]
    queue.machines.answers = (
        Progress(status="pulling manifest"),
        Progress(status="pulling aaa", digest=DIGEST, files={DIGEST: (10, 10)}),
        Progress(status="success", name="chat", files={DIGEST: (10, 10)}),
    )
    return queue


def test_a_machine_is_told_and_the_name_is_printed(ask: Ask, told: MemoryQueue):
    said = ask("pull", "org/x", "--on", "studio", "--as", "chat", "--quantize", "4")

    assert (said.code, said.out, said.err) == (0, "chat\n", "pulling manifest\n")
    ((machine, command),) = told.machines.sent
    assert machine == "studio.2" and isinstance(command, PullModel)
    assert (command.source, command.name, command.quantise) == ("org/x", "chat", "4")


def test_on_all_machines_lines_tell_which(ask: Ask, told: MemoryQueue):
    said = ask("pull", "org/x", "--on", "all")

    assert sorted(said.err.splitlines()) == ["mac.1: pulling manifest", "studio.2: pulling manifest"]


def test_as_json_the_servers_own_lines_are_printed(ask: Ask, told: MemoryQueue):
    said = ask("pull", "org/x", "--on", "mac", "--json")

    assert [json.loads(line)["status"] for line in said.out.splitlines()] == [
        "pulling manifest",
        "pulling aaaaaaaaaaaa",
        "success",
    ]


def test_what_went_wrong_there_is_said(ask: Ask, told: MemoryQueue):
    told.machines.answers = (Progress(error="org/x is gated.", code="gated", hint="Log in."),)

    said = ask("pull", "org/x", "--on", "mac")

    assert (said.code, said.out) == (1, "")
    assert said.err == "mlxq: org/x is gated. Log in.\n"


def test_a_machine_that_is_none_is_said(ask: Ask, told: MemoryQueue):
    said = ask("pull", "org/x", "--on", "moon")

    assert said.code == 1 and "There is no machine 'moon'" in said.err
