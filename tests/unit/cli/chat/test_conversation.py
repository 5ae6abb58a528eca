"""A conversation whose entries come from a file; tests/integration/chat has one on a terminal."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.chat.conversation import Conversation
from cli.chat.screen.display import Display
from cli.chat.screen.line_reader import PlainReader
from cli.chat.session import Session
from cli.client.address import server_address
from cli.client.server import Server
from jobs.generate import Chat, GenerateJob
from jobs.job import Job
from tests.support.images import plain
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue

Talk = Callable[..., str]
HELLO = ("user", "hello")


@pytest.fixture
def talk(url: str, capsys: pytest.CaptureFixture[str]) -> Talk:
    """All that is said in a conversation with these entries."""

    def run(*entries: str, **session: object) -> str:
        reader = PlainReader(io.StringIO("".join(f"{each}\n" for each in entries)))
        opened = Session(model=CHAT_MODEL.id, sees=True, **session)  # pyright: ignore
        Conversation(Server(server_address(url)), opened, reader, lambda: Display(wraps_words=True)).run()
        return "".join(capsys.readouterr())

    return run


def said(queue: MemoryQueue) -> list[tuple[str, str]]:
    """The roles and texts of the newest request."""
    job: Job = queue.submitted[-1][0]
    assert isinstance(job, GenerateJob) and isinstance(job.prompt, Chat)
    return [
        (each.role, "".join(getattr(part, "text", "*") for part in each.content))
        for each in job.prompt.messages
    ]


def test_what_was_said_before_goes_along(talk: Talk, queue: MemoryQueue):
    assert talk("hello", "", "and you", "/bye", "too late") == "hello\n\nand you\n\n"
    assert said(queue) == [HELLO, ("assistant", "hello"), ("user", "and you")]


def test_a_message_may_have_several_lines(talk: Talk, queue: MemoryQueue):
    talk('"""one', 'two"""')
    assert said(queue) == [("user", "one\ntwo")]


def test_clear_forgets_what_was_said_and_keeps_what_the_model_is_told(talk: Talk, queue: MemoryQueue):
    assert "Cleared session context" in talk("/set system Be brief.", "one", "/clear", "hello")
    assert said(queue) == [("system", "Be brief."), HELLO]


def test_a_new_system_message_takes_the_place_of_the_old(talk: Talk, queue: MemoryQueue):
    talk("/set system one", "a", '/set system """two', 'lines"""', "hello")
    assert said(queue) == [("system", "two\nlines"), ("user", "a"), ("assistant", "a"), HELLO]


def test_parameters_and_format_are_set_and_unset(talk: Talk, queue: MemoryQueue):
    shown = talk("/set parameter seed 7", "/set format json", "hello", "/show parameters")
    job = queue.submitted[-1][0]
    assert isinstance(job, GenerateJob) and job.sampling.seed == 7
    assert "Set parameter 'seed' to '7'" in shown and "{}" in shown
    assert f"  {'seed':<30} 7" in shown
    assert "{}" not in talk("/set format json", "/set noformat", "hello")


def test_thinking_is_switched(talk: Talk, queue: MemoryQueue):
    for entry, part in (
        ("/set think", '"enable_thinking":true'),
        ("/set think low", '"reasoning_effort":"low"'),
        ("/set nothink", '"enable_thinking":false'),
    ):
        talk(entry, "hello")
        job = queue.submitted[-1][0]
        assert isinstance(job, GenerateJob) and isinstance(job.prompt, Chat)
        assert part in job.prompt.template_options


def test_figures_are_shown_while_it_is_verbose(talk: Talk):
    assert (
        talk("/set verbose", "a", "/set quiet", "b").count("eval rate") == 2
    )  # the prompt's, and the answer's


def test_an_error_is_told_and_the_conversation_goes_on(talk: Talk, queue: MemoryQueue):
    shown = talk("word " * 5000, "hello")
    assert shown.startswith("error: This model's maximum context length")
    assert said(queue) == [HELLO]


def test_an_image_is_named_by_its_path(talk: Talk, queue: MemoryQueue, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(plain(8, 8))
    assert "added the image" in talk(f"{tmp_path}/a.png what is this?")
    assert said(queue) == [("user", "*what is this?")]


def test_another_model_begins_anew(talk: Talk, queue: MemoryQueue):
    shown = talk("one", f"/load {CHAT_MODEL.id}", "hello", "/load org/none", "/load")
    assert f"Loaded model '{CHAT_MODEL.id}'" in shown and "Couldn't find model 'org/none'" in shown
    assert "Usage:\n  /load" in shown
    assert said(queue) == [HELLO]


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("/?", "/bye            Exit"),
        ("/help set", "/set nohistory"),
        ("/? /show", "/show license"),
        ("/? shortcuts", "Ctrl + g"),
        ("/set", "/set nohistory"),
        ("/set nope", "Unknown command '/set nope'"),
        ("/set system", "/set system <string>"),
        ("/set format xml", "use '/set format json'"),
        ("/set parameter", "/set parameter seed <int>"),
        ("/set parameter seed x", "Couldn't set parameter: seed takes a whole number"),
        ("/set nohistory", "Set 'nohistory' mode."),
        ("/set nowordwrap", "Set 'nowordwrap' mode."),
        ("/show", "/show license"),
        ("/show nope", "Unknown command '/show nope'"),
        ("/show info", "context length"),
        ("/show license", "No license"),
        ("/list", f"\n{MODEL.id}"),
        ("/nope", "Unknown command '/nope'. Type /? for help"),
        ("/save", "/save <modelname>"),
    ],
)
def test_commands_are_ollamas(talk: Talk, entry: str, shown: str):
    assert shown in talk(entry)
