"""cp, alias and rm with a running server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.catalogue.entry import CatalogueEntry
from jobs.catalogue.file import CatalogueFile
from jobs.machines.commands import CopyModel, CreateModel, RemoveModel
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.unit.cli.conftest import ALIAS, Ask

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
    assert ask("rm", "new").out == "deleted 'new'\n"
    assert queue.machines.sent == [] and not CatalogueFile(data).read().entries


def test_what_the_server_refuses_is_told(ask: Ask, queue: MemoryQueue):
    for arguments in (["cp", "org/none", "mine"], ["alias", "mine", "org/none"], ["rm", "org/none"]):
        said = ask(*arguments)
        assert (said.code, said.out) == (1, "") and "'org/none' not found" in said.err
    assert queue.machines.sent == []


@pytest.mark.parametrize(("pulled", "options"), [(True, []), (False, []), (False, ["-y"])])
def test_files_on_this_machine_go_when_the_server_has_forgotten_the_model(
    ask: Ask, queue: MemoryQueue, data: Path, pulled: bool, options: list[str]
):
    folder = data / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(1000))
    entry = CatalogueEntry(name=CHAT, folder=str(folder), pulled=pulled, created_at=0, modified_at=0)
    CatalogueFile(data).update(lambda it: it.with_entry(entry))

    said = ask("rm", CHAT, *options, stdin="")

    assert [type(command) for _, command in queue.machines.sent] == [RemoveModel]
    stays = not pulled and not options
    assert said.out == f"deleted '{CHAT}'" + (
        f"; its files stay in {folder}\n" if stays else ", 1 KB freed\n"
    )
    assert folder.exists() == (pulled or stays)  # what mlxq pulled is the agent's to delete
