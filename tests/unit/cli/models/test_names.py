"""cp, alias and rm with a running server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from jobs.catalogue.entry import CatalogueEntry
from jobs.catalogue.file import CatalogueFile
from jobs.machines.commands import Command, CopyModel, CreateModel, RemoveModel
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.unit.cli.conftest import ALIAS, Ask
from workers.host.changes import Changes

CHAT = CHAT_MODEL.id


@pytest.fixture(autouse=True)
def data(queue: MemoryQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder of this machine, which the server's catalogue is not in."""
    monkeypatch.setenv("MLXQ_DATA", str(tmp_path / "data"))
    queue.machines.sent.clear()
    yield tmp_path / "data"
    queue.machines.sent.clear()


def test_a_model_gets_one_more_name(ask: Ask, queue: MemoryQueue):
    assert ask("cp", CHAT, "mine").out == f"copied '{CHAT}' to 'mine'\n"
    [(_, command)] = queue.machines.sent
    assert isinstance(command, CopyModel) and (command.source, command.name) == (CHAT, "mine")


def test_an_alias_has_defaults(ask: Ask, queue: MemoryQueue):
    said = ask(
        "alias", "pirate", CHAT, "--system", "Arr.", "-p", "temperature=0.5", "-p", "stop=a", "-p", "stop=b"
    )
    assert said.out == f"'pirate' is '{CHAT}'\n"
    [(_, command)] = queue.machines.sent
    assert isinstance(command, CreateModel) and (command.source, command.name) == (CHAT, "pirate")
    assert command.defaults.system == "Arr."
    assert command.defaults.parameters == {"temperature": 0.5, "stop": ("a", "b")}


def test_models_are_removed(ask: Ask, queue: MemoryQueue, data: Path):
    assert ask("rm", CHAT, ALIAS.id).out == f"deleted '{CHAT}'\ndeleted '{ALIAS.id}'\n"
    commands = [command for _, command in queue.machines.sent]
    assert [command.name for command in commands if isinstance(command, RemoveModel)] == [CHAT, ALIAS.id]
    assert not data.exists()


def test_a_model_that_was_pulled_a_moment_ago_is_removed_before_the_server_knows_it(
    ask: Ask, queue: MemoryQueue, data: Path
):
    entry = CatalogueEntry(name="org/new", folder="/none", created_at=0, modified_at=0)
    CatalogueFile(data).update(lambda it: it.with_entry(entry))
    assert ask("rm", "org/new").out == "deleted 'org/new'; its files stay in /none\n"
    assert queue.machines.sent == [] and not CatalogueFile(data).read().entries


def test_what_the_server_refuses_is_told(ask: Ask, queue: MemoryQueue):
    for arguments in (["cp", "org/none", "mine"], ["alias", "mine", "org/none"], ["rm", "org/none"]):
        said = ask(*arguments)
        assert (said.code, said.out) == (1, "") and "'org/none' not found" in said.err
    assert queue.machines.sent == []


@pytest.fixture
def files(data: Path) -> Path:
    """Of a model in this machine's catalogue, which has the name of one of the server's."""
    folder = data / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(1000))
    entry = CatalogueEntry(name=CHAT, folder=str(folder), created_at=0, modified_at=0)
    CatalogueFile(data).update(lambda it: it.with_entry(entry))
    return folder


@pytest.fixture
def agent(queue: MemoryQueue, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's machine is this one."""

    async def send(machine: str, command: Command) -> None:
        assert isinstance(command, RemoveModel)
        queue.machines.sent.append((machine, command))
        Changes(data, ()).carry_out(command)

    monkeypatch.setattr(queue.machines, "send", send)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(("pulled", "options"), [(True, []), (False, []), (False, ["-y"])])
def test_files_on_this_machine_go_when_the_server_has_forgotten_the_model(
    ask: Ask, data: Path, files: Path, pulled: bool, options: list[str]
):
    CatalogueFile(data).update(lambda it: it.with_entry(replace(it.entries[0], pulled=pulled)))

    said = ask("rm", CHAT, *options, stdin="")

    stays = not pulled and not options
    assert said.out == f"deleted '{CHAT}'" + (f"; its files stay in {files}\n" if stays else ", 1 KB freed\n")
    assert files.exists() == stays


def test_the_files_of_this_machine_stay_where_the_server_has_another_data_folder(ask: Ask, files: Path):
    assert ask("rm", CHAT, "-y").out == f"deleted '{CHAT}'\n"
    assert files.exists()


@pytest.mark.usefixtures("agent")
def test_the_files_of_this_machine_stay_where_the_server_is_another_machines(
    ask: Ask, files: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cli.client.server.Server.is_here", False)
    assert ask("rm", CHAT, "-y").out == f"deleted '{CHAT}'\n"
    assert files.exists()
