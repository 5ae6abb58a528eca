import json
from pathlib import Path

import pytest

from tests.support.images import plain
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.cli.conftest import Ask


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("cat.txt").write_text("a young cat\n\na dog\n")
    Path("car.txt").write_text("a car\n")
    Path("page.png").write_bytes(plain(8, 8))
    Path("empty.txt").write_text("\n")
    Path("paper.pdf").write_bytes(b"%PDF-1.7\xff\xfe")


def test_files_are_ordered_the_best_first(ask: Ask):
    said = ask("rerank", RERANK_MODEL.id, "young cat", "car.txt", "page.png", "cat.txt")
    lines = said.out.splitlines()
    assert lines[0] == "1.0000  cat.txt"
    assert {line.split()[1] for line in lines[1:]} == {"car.txt", "page.png"}


def test_lines_are_ordered_and_told_where_they_are(ask: Ask):
    said = ask("rerank", RERANK_MODEL.id, "dog", "--lines", "cat.txt", "car.txt", "-n", "1")
    assert said.out == "1.0000  cat.txt:3: a dog\n"
    assert ask("rerank", RERANK_MODEL.id, "dog", "-", stdin="cat\ndog\n").out.startswith("1.0000  -:2: dog\n")


def test_a_line_ends_where_other_tools_see_its_end(ask: Ask):
    Path("odd.txt").write_bytes("one\x0cstill one\r\ntwo\u2028still two\nthree".encode())
    said = ask("rerank", RERANK_MODEL.id, "three", "--lines", "odd.txt", "--json")
    found = {json.loads(line)["document"]: json.loads(line)["text"] for line in said.out.split("\n") if line}
    assert found == {
        "odd.txt:1": "one\x0cstill one",
        "odd.txt:2": "two\u2028still two",
        "odd.txt:3": "three",
    }


def test_json_has_a_line_for_each(ask: Ask):
    lines = ask("rerank", RERANK_MODEL.id, "cat", "cat.txt", "car.txt", "--json").out.splitlines()
    assert json.loads(lines[0]) == {"document": "cat.txt", "relevance_score": 1.0}
    [line] = ask("rerank", RERANK_MODEL.id, "cat", "--json", "-", stdin="cat").out.splitlines()
    assert json.loads(line) == {"document": "-:1", "relevance_score": 1.0, "text": "cat"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.txt"], "Cannot read none.txt: No such file"),
        (["empty.txt"], "empty.txt is empty"),
        (["--lines", "empty.txt"], "nothing to rank"),
        (["paper.pdf"], "`mlxq ingest` reads"),
        (["--lines", "paper.pdf"], "no UTF-8 text"),
        (["."], "Cannot read .: Is a directory"),
    ],
)
def test_what_cannot_be_ranked_is_named(ask: Ask, arguments: list[str], said: str):
    done = ask("rerank", RERANK_MODEL.id, "cat", *arguments)
    assert (done.code, done.out) == (1, "")
    assert said in done.err
