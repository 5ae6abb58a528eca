import json
import sys

import pytest

from jobs.catalogue.details import ModelDetails
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.cli.conftest import Ask


@pytest.mark.parametrize("command", ["list", "ls"])
def test_models_are_listed_in_ollamas_columns(ask: Ask, command: str):
    heads, *rows = ask(command).out.splitlines()

    assert heads.split() == ["NAME", "ID", "SIZE", "MODIFIED"]
    names = [row.split()[0] for row in rows]
    assert CHAT_MODEL.id in [name.removesuffix(":latest") for name in names]
    at = heads.index("MODIFIED")
    assert all(row[at:].endswith("ago") and row[at - 1] == " " for row in rows)


def test_models_in_memory_are_listed_in_ollamas_columns(ask: Ask):
    heads, *rows = ask("ps").out.splitlines()

    assert heads.split() == ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]
    [row] = [row for row in rows if row.startswith(CHAT_MODEL.id)]
    assert row[heads.index("CONTEXT") :].split() == [str(CHAT_MODEL.max_tokens), "Forever"]


@pytest.mark.parametrize("command", ["list", "ps"])
def test_a_prefix_leaves_the_others_out(ask: Ask, command: str):
    rows = ask(command, MODEL.id).out.splitlines()[1:]
    models = json.loads(ask(command, MODEL.id, "--json").out)["models"]

    assert [row.split()[0] for row in rows] == [each["name"] for each in models]
    assert [each["model"].removesuffix(":latest") for each in models] == [MODEL.id]


def test_a_model_is_shown(ask: Ask):
    shown = ask("show", CHAT_MODEL.id).out
    assert (
        "  Model\n    architecture" in shown and f"    context length    {CHAT_MODEL.max_tokens}\n" in shown
    )
    assert "  Capabilities\n    completion\n    tools\n    vision\n    thinking\n" in shown
    assert "vision" in json.loads(ask("show", CHAT_MODEL.id, "--json").out)["capabilities"]


@pytest.mark.parametrize("options", [(), ("--license",), ("--template",)])
def test_what_a_models_authors_wrote_does_not_command_the_terminal(
    ask: Ask, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
):
    text = "MIT\tof\x1b[2J\x9b1A\x07 all\r\nof us"
    details = {CHAT_MODEL.id: ModelDetails(license=text, template=text)}
    monkeypatch.setattr(queue.machines, "details_of", details)

    assert (
        "\x1b" in ask("show", CHAT_MODEL.id, "--license").out
    )  # into a file or a pipe goes what was written
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = ask("show", CHAT_MODEL.id, *options).out

    assert "MIT\tof\\x1b[2J\\x9b1A\\x07 all\n" in shown and "of us" in shown
    assert not {"\x1b", "\x9b", "\x07"} & set(shown)


@pytest.mark.parametrize("command", [["show"], ["run"], ["embed", "-"], ["stop"]])
def test_a_name_that_means_nothing_is_an_error(ask: Ask, command: list[str]):
    said = ask(command[0], "org/modle", *command[1:], stdin="text")
    assert (said.code, said.out) == (1, "")
    assert "org/modle" in said.err and "org/model" in said.err  # what was probably meant


def test_without_a_server_it_is_said_how_to_start_one(ask: Ask):
    for command in ("list", "ps"):
        said = ask(command, "--url", "127.0.0.1:9")
        assert said.code == 1
        assert said.err.startswith("mlxq: No server answers at http://127.0.0.1:9")
        assert "`mlxq up`" in said.err


def test_a_stopped_model_of_any_task_leaves_the_memory(ask: Ask, queue: MemoryQueue):
    before = dict(queue.loaded)
    assert ask("stop", CHAT_MODEL.id, RERANK_MODEL.id, MODEL.id) == (0, "", "")
    assert not {CHAT_MODEL.id, RERANK_MODEL.id, MODEL.id} & {*queue.loaded}
    queue.loaded |= before


def test_aliases_are_listed_with_the_models_that_they_stand_for(ask: Ask):
    assert ask("alias").out == "NAME       MODEL\nvectors    org/model\n"
