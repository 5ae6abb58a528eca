import json
import sys
from pathlib import Path

import pytest

from cli.main import main
from tests.support.images import plain
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue
from tests.unit.cli.conftest import Ask


def test_each_text_has_a_line_with_its_vector(ask: Ask):
    said = ask("embed", MODEL.id, "one", "two")
    vectors = [json.loads(line) for line in said.out.splitlines()]
    assert [len(vector) for vector in vectors] == [MODEL.dimensions] * 2


@pytest.mark.parametrize("arguments", [["-"], [], ["--json", "-"]])
def test_each_line_of_standard_input_is_a_text(ask: Ask, arguments: list[str], queue: MemoryQueue):
    said = ask("embed", MODEL.id, *arguments, stdin="".join(f"text {n}\n" for n in range(600)))
    assert said.out.count("\n") == 600
    texts = [text for job, _ in queue.submitted[-3:] for text in job.inputs]  # pyright: ignore
    assert texts == [f"text {n}" for n in range(600)]  # in several requests


def test_json_tells_the_text_of_each_vector(ask: Ask):
    lines = [json.loads(line) for line in ask("embed", MODEL.id, "one", "two", "--json").out.splitlines()]
    assert [(line["index"], line["text"]) for line in lines] == [(0, "one"), (1, "two")]
    assert all(len(line["embedding"]) == MODEL.dimensions for line in lines)


def test_an_image_is_embedded_by_a_model_that_sees(ask: Ask, tmp_path: Path):
    (tmp_path / "page.png").write_bytes(plain(8, 8))
    [vectors] = map(
        json.loads, ask("embed", PAGE_MODEL.id, "--image", str(tmp_path / "page.png")).out.splitlines()
    )
    assert len(vectors) > 1 and len(vectors[0]) == PAGE_MODEL.dimensions


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ([], None, "nothing to embed"),
        ([], "", "nothing to embed"),
        ([" "], None, "is empty"),
        ([], "a\n\nb\n", "Line 2 of standard input is empty"),
        (["--image", "/none.png"], None, "Cannot read /none.png"),
        (["a", "--dimensions", "7"], None, "dimensions"),
    ],
)
def test_what_cannot_be_embedded_is_told(ask: Ask, arguments: list[str], stdin: str | None, said: str):
    done = ask("embed", MODEL.id, *arguments, stdin=stdin)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


def test_what_is_piped_in_is_utf_8(ask: Ask):
    assert "Line 2 of standard input is no UTF-8" in ask("embed", MODEL.id, stdin=b"one\n\xff\n").err
    assert "Line 1 of standard input is no UTF-8" in ask("run", CHAT_MODEL.id, stdin=b"\xff").err
    assert "Line 1 of standard input is no UTF-8" in ask("rerank", MODEL.id, "q", "-", stdin=b"\xff").err


def test_a_closed_standard_input_has_nothing(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["run", CHAT_MODEL.id, "--url", url]) == main(["embed", MODEL.id, "--url", url]) == 1


def test_a_chat_model_is_refused_for_vectors(ask: Ask):
    assert "generate" in ask("embed", CHAT_MODEL.id, "a").err


def test_a_run_of_an_embedding_model_prints_its_vector_as_ollamas_does(ask: Ask):
    assert ask("run", MODEL.id, "one").out == ask("embed", MODEL.id, "one").out
    assert ask("run", MODEL.id, stdin="one\n").out == ask("embed", MODEL.id, "one").out
