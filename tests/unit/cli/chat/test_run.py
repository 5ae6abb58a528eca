import json
from pathlib import Path

import pytest

from jobs.generate import Chat, GenerateJob
from tests.support.images import plain
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.cli.conftest import Ask

CHAT = CHAT_MODEL.id


def newest(queue: MemoryQueue) -> tuple[GenerateJob, Chat]:
    job, _ = queue.submitted[-1]
    assert isinstance(job, GenerateJob) and isinstance(job.prompt, Chat)
    return job, job.prompt


@pytest.mark.parametrize(
    ("arguments", "stdin", "answer"),
    [
        (["one two"], None, "one two\n"),
        (["one", "two"], None, "one two\n"),
        ([], "one two\n", "one two\n"),
        (["--verbose", "one", "two"], None, "one two\n"),
        (["Sum up:"], "one\ntwo\n", "one two Sum up:\n"),
    ],
)
def test_one_answer_is_printed(ask: Ask, arguments: list[str], stdin: str | None, answer: str):
    said = ask("run", CHAT, *arguments, stdin=stdin)
    assert (said.code, said.out) == (0, answer)


def test_what_it_is_told_first_and_how_to_answer_goes_along(ask: Ask, queue: MemoryQueue):
    options = (
        "-p",
        "temperature=0",
        "-p",
        "stop=x",
        "-p",
        "stop=y",
        "--keepalive",
        "5m",
        "--system",
        "Be brief.",
    )
    ask("run", CHAT, "--think", "true", "hello", *options)

    job, chat = newest(queue)
    assert (job.sampling.temperature, job.stop, job.keep_alive_s) == (0, ("x", "y"), 300)
    assert [message.role for message in chat.messages] == ["system", "user"]
    assert '"enable_thinking":true' in chat.template_options


@pytest.mark.parametrize("given", ["json", '{"type": "object"}', "schema.json"])
def test_an_answer_keeps_to_a_format(
    ask: Ask, queue: MemoryQueue, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("schema.json").write_text('{"type": "object"}')
    assert ask("run", CHAT, "--format", given, "hello").out == "{}\n"


def test_an_image_goes_along(ask: Ask, queue: MemoryQueue, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(plain(8, 8))
    said = ask("run", CHAT, f"see {tmp_path}/a.png")
    assert said.out == "<image> see\n"
    assert "added the image" in said.err


def test_thinking_stays_out_of_a_pipe_unless_it_is_asked_for(ask: Ask):
    assert THOUGHT not in ask("run", CHAT, "--think", "true", "--hidethinking", "hello").out
    shown = ask("run", CHAT, "--think", "true", "hello").out
    assert shown == f"Thinking...\n{THOUGHT}\n...done thinking.\n\nhello\n"


def test_json_is_the_servers_own_reply(ask: Ask):
    reply = json.loads(ask("run", CHAT, "--json", "hello").out)
    assert reply["message"]["content"] == "hello" and reply["done"] is True


@pytest.mark.parametrize(
    "arguments", [["--think", "one", "two"], ["--think=true", "one two"], ["one", "--think", "two"]]
)
def test_a_word_behind_think_that_is_no_level_is_the_prompts(
    ask: Ask, queue: MemoryQueue, arguments: list[str]
):
    assert ask("run", CHAT, *arguments).out.endswith("\none two\n")
    _, chat = newest(queue)
    assert '"enable_thinking":true' in chat.template_options


def test_figures_go_to_standard_error(ask: Ask):
    said = ask("run", CHAT, "hello", "--verbose")
    assert "eval count:           1 token(s)" in said.err and "eval rate:" in said.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ([CHAT], "", "no prompt"),
        ([CHAT, "hi", "-p", "temp=1"], None, "--parameter temp=1: there is no parameter"),
        ([CHAT, "hi", "-p", "seed"], None, "not of the form NAME=VALUE"),
        ([CHAT, "hi", "--format", "/none.json"], None, "Cannot read /none.json"),
        ([CHAT, "hi", "--format", "{"], None, "neither json nor a JSON schema"),
        ([CHAT, "--json"], None, "say the prompt, too"),
        ([CHAT, "hi", "--keepalive", "soon"], None, "keep_alive"),
        ([CHAT, "word " * 5000], None, "maximum context length"),
        (
            ["org/none", "hi"],
            None,
            "'org/none' not found, did you mean 'org/model'?\nTo bring a model onto this machine: mlxq pull",
        ),
        ([CHAT, "\udcff"], None, "is no UTF-8 text"),
        ([RERANK_MODEL.id, "hi"], None, "writes no text: it is for `mlxq rerank`"),
    ],
)
def test_what_cannot_be_answered_is_told(ask: Ask, arguments: list[str], stdin: str | None, said: str):
    done = ask("run", *arguments, stdin=stdin)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


@pytest.mark.parametrize("level", ["high", "false"])
def test_a_level_of_thinking_is_an_option_of_its_own_word(ask: Ask, queue: MemoryQueue, level: str):
    ask("run", CHAT, "--think", level, "hello")
    _, chat = newest(queue)
    assert ("high" if level == "high" else '"enable_thinking":false') in chat.template_options
