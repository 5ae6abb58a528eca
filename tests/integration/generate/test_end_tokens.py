"""Answers end at the tokens that the files of the model's folder call an end, wherever they say it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from jobs.content import TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, Choice, GenerateJob, Message, Prompt, Sampling
from jobs.settings import Settings
from tests.checkpoints import generators, vision
from tests.integration.generate.test_generator_folders import changed, found_of, opened
from tests.support.answers import write
from tests.support.folders import TINY_CHAT
from workers.models.open import load_runner, open_runner
from workers.runners.generate.runner import GenerateRunner

END, IM_END = 887, 889
"""Of the tiny model: behind a bare text, and behind an answer."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tiny model, of which no file calls any token an end."""
    found = tmp_path / "m"
    shutil.copytree(TINY_CHAT, found)
    changed(found / "config.json", eos_token_id=None)
    changed(found / "tokenizer_config.json", eos_token=None)
    (found / "generation_config.json").unlink()
    return found


def says(folder: Path, name: str, **fields: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **fields}))


def ends_of(runner: Any) -> set[int]:
    """Where its decoder ends an answer."""
    decoder = getattr(runner.decoder, "_batch", runner.decoder)
    return {token for [token] in decoder._end_ids}


def completed(folder: Path, prompt: str | tuple[int, ...] = "The capital of France is") -> Choice:
    runner = load_runner(str(folder), Settings())
    assert isinstance(runner, GenerateRunner)
    return write(runner, GenerateJob("m", Prompt(prompt), sampling=Sampling(temperature=0), max_tokens=12))


@pytest.mark.parametrize("ends", [[IM_END, END], END])
def test_a_bare_text_ends_at_a_token_that_only_generation_config_names(folder: Path, ends: Any):
    says(folder, "generation_config.json", eos_token_id=ends)
    answer = completed(folder)
    assert (answer.text, answer.finish_reason) == (" Paris.", "stop")


def test_token_ids_end_at_it_too(folder: Path):
    says(folder, "generation_config.json", eos_token_id=[END])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert completed(folder, tuple(tokenizer.encode("The capital of France is").ids)).text == " Paris."


def test_without_any_end_the_answer_has_its_length(folder: Path):
    changed(folder / "tokenizer_config.json", chat_template=None)
    assert completed(folder).finish_reason == "length"


@pytest.mark.parametrize(
    ("config", "generation", "expected"),
    [
        (END, None, {END}),
        (None, [END, IM_END], {END, IM_END}),
        (IM_END, [END], {END, IM_END}),
        ([IM_END], None, {IM_END}),
        (0, None, {0}),
        (None, None, set[int]()),
        (None, True, set[int]()),
    ],
)
def test_ends_are_those_of_all_files(folder: Path, config: Any, generation: Any, expected: set[int]):
    changed(folder / "tokenizer_config.json", chat_template=None)
    says(folder, "config.json", eos_token_id=config)
    says(folder, "generation_config.json", eos_token_id=generation)
    assert ends_of(open_runner(str(folder), Settings())) == expected


def test_tokenizers_end_is_one_of_them(folder: Path):
    changed(folder / "tokenizer_config.json", eos_token="<|im_end|>")
    says(folder, "generation_config.json", eos_token_id=END)
    assert ends_of(open_runner(str(folder), Settings())) == {END, IM_END}


def test_a_turns_end_in_the_chat_template_is_one_of_them(folder: Path):
    says(folder, "generation_config.json", eos_token_id=END)
    runner = load_runner(str(folder), Settings())
    assert isinstance(runner, GenerateRunner)
    assert ends_of(runner) == {END, IM_END}
    chat = Chat((Message("user", (TextPart("What is the capital of France?"),)),))
    answer = write(runner, GenerateJob("m", chat, sampling=Sampling(temperature=0), max_tokens=60))
    assert (answer.text, answer.finish_reason) == ("The capital of France is Paris.", "stop")


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        ("<|im_end|>\n", {END, IM_END}),
        (" <|im_end|>\n<|endoftext|>", {END, IM_END}),  # as Phi's
        ("<|im_end|>more<|endoftext|>", {END}),
        ("<|im_start|>user", {END}),
        ("</think>", {END}),
        ("\n", {END}),
        ("", {END}),
        ("{{ raise_exception('no assistant') }}", {END}),
    ],
)
def test_only_a_token_that_closes_the_turn_is_its_end(folder: Path, behind: str, expected: set[int]):
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}" + behind + "{% endfor %}"
    changed(folder / "tokenizer_config.json", chat_template=template)
    says(folder, "generation_config.json", eos_token_id=END)
    assert ends_of(open_runner(str(folder), Settings())) == expected


def test_broken_generation_config_is_named(folder: Path):
    (folder / "generation_config.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"generation_config\.json is not valid JSON"):
        open_runner(str(folder), Settings())


@pytest.mark.parametrize("name", vision.NAMES)
def test_vision_models_read_the_same_files(tmp_path: Path, name: str):
    folder = vision.make(name, tmp_path / "m")
    before = ends_of(open_runner(str(folder), Settings()))
    says(folder, "generation_config.json", eos_token_id=[7, 8])
    assert ends_of(open_runner(str(folder), Settings())) == {*before, 7, 8}


def test_vectors_do_not_depend_on_ends(tmp_path: Path):
    folder = generators.make("llama", tmp_path / "m")
    before = found_of(opened(folder))
    says(folder, "generation_config.json", eos_token_id=[7, 8])
    assert (found_of(opened(folder)) == before).all()
