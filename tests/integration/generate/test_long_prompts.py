"""Prompts that a model cannot read are refused without being written or tokenised as a whole."""

import shutil
from pathlib import Path

import pytest

from jobs.content import TextPart
from jobs.errors import InputTooLong
from jobs.generate import Chat, GenerateJob, Message
from jobs.settings import Settings
from tests.support.folders import TINY_CHAT
from workers.models.open import open_runner
from workers.runners.generate.runner import GenerateRunner

STRIPPING = "{% for message in messages %}{{ message.content | trim }}{% endfor %}"


def opened(folder: Path) -> GenerateRunner:
    runner = open_runner(str(folder), Settings())
    assert isinstance(runner, GenerateRunner)
    return runner


def chat(text: str, role: str = "user") -> GenerateJob:
    return GenerateJob("m", Chat((Message(role, (TextPart(text),)), Message("user", (TextPart("hi"),)))))


def test_a_users_text_that_is_too_long_is_not_written_by_the_template(monkeypatch: pytest.MonkeyPatch):
    def written(_: Chat) -> str:
        raise AssertionError("the template was used")

    runner = opened(TINY_CHAT)
    monkeypatch.setattr(runner, "_text_of", written)
    [error] = runner.prepare([chat("a word " * 100_000)])
    assert isinstance(error, InputTooLong)


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_other_texts_are_too_long_once_the_template_has_written_them(role: str):
    [error] = opened(TINY_CHAT).prepare([chat("a word " * 100_000, role)])
    assert isinstance(error, InputTooLong)


def test_white_space_that_the_template_strips_makes_no_text_too_long(tmp_path: Path):
    folder = tmp_path / "m"
    shutil.copytree(TINY_CHAT, folder)
    (folder / "chat_template.jinja").write_text(STRIPPING)
    [found] = opened(folder).prepare([chat("hi" + " \n" * 100_000)])
    assert isinstance(found, list)
