"""A conversation on a terminal, as somebody sees it who types."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from api.app import create_app
from jobs.generate import Chat, GenerateJob, Piece, Pieces
from jobs.settings import Settings
from tests.support.console.server import serving
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.support.shell.terminal import CTRL_C, CTRL_D, ENTER, Terminal

READY = "Send a message (/? for help)"
PROMPT = f"\n\n>>> {READY}"


class _Endless(MemoryQueue):
    """Begins to answer "go on", and never ends. left: somebody has stopped reading it."""

    def __init__(self) -> None:
        super().__init__(models=(CHAT_MODEL,))
        self.left = threading.Event()

    async def stream(self, job_id: str, after: int = 0) -> AsyncGenerator[tuple[int, Pieces]]:
        job = self.submitted[-1][0]
        assert isinstance(job, GenerateJob) and isinstance(job.prompt, Chat)
        if "go on" not in repr(job.prompt.messages[-1]):
            async for each in super().stream(job_id, after):
                yield each
            return
        yield 1, Pieces(1, 0, (Piece(text="It begins ", tokens=(1,)),))
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


@pytest.fixture(scope="module")
def queue() -> MemoryQueue:
    return _Endless()


@pytest.fixture(scope="module")
def url(queue: MemoryQueue) -> Iterator[str]:
    with serving(create_app(queue, Settings())) as url:
        yield url


def open_terminal(url: str, folder: Path, *arguments: str, columns: int = 80, **environ: str) -> Terminal:
    command = ("-m", "cli.main", "run", CHAT_MODEL.id, "--url", url, *arguments)
    return Terminal(*command, environ={"MLXQ_DATA": str(folder), **environ}, columns=columns)


def test_a_conversation_looks_as_ollamas_does(url: str, queue: MemoryQueue, tmp_path: Path):
    with open_terminal(url, tmp_path / "data") as terminal:
        assert terminal.wait_for(READY) == f">>> {READY}"
        terminal.type(f"hello{ENTER}")
        terminal.wait_for(READY)
        terminal.paste("two\nlines")
        terminal.type(ENTER)
        terminal.wait_for("two lines")
        assert terminal.wait_for(READY) == f">>> hello\nhello\n\n>>> two\nlines\ntwo lines{PROMPT}"
        terminal.type(f"/bye{ENTER}")
        assert terminal.wait() == 0

    job = queue.submitted[-1][0]
    assert isinstance(job, GenerateJob) and isinstance(job.prompt, Chat)
    assert [message.role for message in job.prompt.messages] == ["user", "assistant", "user"]
    history = tmp_path / "data" / "chat_history"
    assert "+hello" in history.read_text() and history.stat().st_mode & 0o77 == 0


def test_ctrl_c_ends_the_answer_and_not_the_program(url: str, queue: _Endless, tmp_path: Path):
    with open_terminal(url, tmp_path) as terminal:
        terminal.wait_for(READY)
        terminal.type(f"go on{ENTER}")
        terminal.wait_for("It begins")
        terminal.type(CTRL_C)
        terminal.wait_for(READY)
        assert queue.left.wait(30)  # the server was told, too
        terminal.type(f"hello{ENTER}")
        terminal.wait_for("hello", 2)
        assert terminal.wait_for(READY) == f">>> go on\nIt begins\n\n>>> hello\nhello{PROMPT}"
        terminal.type(CTRL_C)
        terminal.wait_for("Use Ctrl + d or /bye to exit.")
        terminal.type(CTRL_D)
        assert terminal.wait() == 0


def test_ctrl_c_ends_a_single_answer_and_the_program(url: str, queue: _Endless, tmp_path: Path):
    queue.left.clear()
    with open_terminal(url, tmp_path, "go on") as terminal:
        terminal.wait_for("It begins")
        terminal.type(CTRL_C)
        assert terminal.wait() == 130
        assert terminal.text == "It begins"
        assert queue.left.wait(30)


def test_lines_break_between_words(url: str, tmp_path: Path):
    with open_terminal(url, tmp_path, "one two three four five", columns=12) as terminal:
        assert terminal.wait() == 0
        assert terminal.text == "one two\nthree four\nfive"


def test_thinking_is_shown_on_a_terminal(url: str, tmp_path: Path):
    with open_terminal(url, tmp_path, "hello", "--think", "true") as terminal:
        assert terminal.wait() == 0
        assert terminal.text == "Thinking...\nHm.\n...done thinking.\n\nhello"
        assert terminal.screen.buffer[1][0].fg == "brightblack"
        assert terminal.screen.buffer[4][0].fg == "default"


def test_a_terminal_without_a_cursor_gets_plain_lines(url: str, tmp_path: Path):
    with open_terminal(url, tmp_path, TERM="dumb") as terminal:
        terminal.type(f"hello{ENTER}")
        terminal.wait_for("hello", 2)
        terminal.type(f"/bye{ENTER}")
        assert terminal.wait() == 0
        assert "\x1b" not in terminal.text and READY not in terminal.text
