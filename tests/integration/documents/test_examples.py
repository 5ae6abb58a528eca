"""The examples about documents and images, scripts and notebooks, against one running `mlxq up` with small models."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints.citing import ANSWER
from tests.checkpoints.taught_colqwen import COLOURS
from tests.integration.documents.notebook import cells
from tests.support.documents.served import ServedDocuments, served_documents
from tests.support.folders import ROOT, TINY_CHAT
from tests.support.images import data_uri

EXAMPLES = ROOT / "examples"
NOTEBOOKS = EXAMPLES / "notebooks"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDocuments]:
    with served_documents(tmp_path_factory.mktemp("served"), f"tiny-chat={TINY_CHAT}") as found:
        yield found


@pytest.fixture
def run(served: ServedDocuments) -> Run:
    """Runs a script or a notebook; what it prints."""

    def run_example(name: str, *arguments: object, chat: str = "citing") -> str:
        how = ["-m", "tests.integration.documents.notebook"] if name.endswith(".ipynb") else []
        found = (NOTEBOOKS if name.endswith(".ipynb") else EXAMPLES) / name
        models = {"CHAT_MODEL": chat, "VISION_MODEL": "citing", "PAGE_MODEL": "colours"}
        done = subprocess.run(
            [sys.executable, *how, str(found), *map(str, arguments)],
            cwd=ROOT,
            env={
                **os.environ,
                "MLXQ_URL": served.url,
                "QDRANT_URL": served.qdrant_url,
                **{f"MLXQ_{what}": model for what, model in models.items()},
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_example


@pytest.mark.parametrize("colour", COLOURS)
def test_colqwen_qdrant_finds_the_right_page_with_the_score_that_numpy_gives(
    run: Run, served: ServedDocuments, colour: str
):
    pictures = served.folder / "pictures"
    query = f"the {colour} page"

    first, *hits = run("colqwen_qdrant.py", pictures, query).splitlines()

    inputs = [query, *(data_uri((pictures / f"{each}.png").read_bytes()) for each in COLOURS)]
    rows = [
        np.array(each["embedding"])
        for each in served.post("/v1/embeddings", model="colours", input=inputs)["data"]
    ]
    scores = {
        f"{each}.png": (rows[0] @ page.T).max(axis=1).sum()
        for each, page in zip(COLOURS, rows[1:], strict=True)
    }
    assert first == f"3 pages, {sum(map(len, rows[1:]))} vectors"
    found = {name: float(score) for score, name in (hit.split() for hit in hits)}
    assert next(iter(found)) == f"{colour}.png"
    assert found == pytest.approx(scores, abs=0.02)


def test_pdf_rag(run: Run):
    said = run("pdf_rag.py", EXAMPLES / "papers" / "lease.pdf", "How much is the deposit?").splitlines()

    assert said[0].startswith("2 chunks of ")
    assert re.fullmatch(r"0\.\d\d page 1", said[1]) and said[2].endswith("page 2")
    assert said[3:] == [ANSWER]


def test_function_calling(run: Run):
    assert run("function_calling.ipynb", chat="tiny-chat").splitlines() == [
        'tool_calls get_weather {"city": "Oslo"}',
        "In Oslo it is 7 degrees with rain.",
        "get_time {'city': 'Rome'}",
        "get_time",
    ]


def test_vision(run: Run):
    """What the small model says of images is the same for all; that it gets them shows in the tokens of its prompts."""
    drawing, tokens, compared, page = run("vision.ipynb").splitlines()

    assert drawing == compared == page == ANSWER
    small, medium, large = map(int, re.findall(r"\d+", tokens))
    assert small < medium <= large


def test_text_embeddings(run: Run):
    said = run("text_embeddings.ipynb")

    assert said.startswith("(384,) 1.0 7 tokens\n(5, 384)\n")
    assert "How do I bake a loaf? -> Leave the bread to cool before you cut it." in said
    assert "planets -> Jupiter's moons can be seen with binoculars." in said
    assert said.endswith("context_length_exceeded\n256 tokens read\n")


def test_vision_embeddings(run: Run):
    said = run("vision_embeddings.ipynb")

    assert [line.rpartition(" -> ")[2] for line in said.splitlines() if line.startswith("the ")] == [
        *("red chart", "blue chart")
    ]
    assert "\ngreen chart\n" in said
    heatmap = [[float(each) for each in re.findall(r"\d\.\d?", row)] for row in said.splitlines()[-7:]]
    assert np.argwhere(np.array(heatmap) > 0.5).tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]


def test_rag(run: Run, served: ServedDocuments):
    served.ingest(EXAMPLES / "papers", "papers", "text")

    said = run("rag.ipynb").splitlines()

    assert said[:2] == ["5 chunks", "lease.pdf page 1"] and said[3] == ANSWER
    assert any("lease.pdf page 1" in line and "2,480 euros" in line for line in said[4:7])
    assert said[7] == ANSWER and re.fullmatch(r"\[1\] lease\.pdf page \d", said[8])


@pytest.mark.parametrize("name", ["colqwen_qdrant.py", "pdf_rag.py", "write_papers.py"])
def test_an_example_that_needs_arguments_says_which(name: str):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert f"python examples/{name}" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_says_why_before_each_cell_and_is_kept_without_outputs(notebook: Path):
    kinds = [cell["cell_type"] for cell in cells(notebook)]
    codes = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]

    assert kinds == ["markdown", *["markdown", "code"] * len(codes)]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in codes)
    assert f'"{notebook.name}"' in Path(__file__).read_text(), "no test runs it"


def test_the_papers_are_what_their_script_writes(tmp_path: Path):
    subprocess.run([sys.executable, EXAMPLES / "write_papers.py", tmp_path], cwd=ROOT, check=True, timeout=60)

    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in (EXAMPLES / "papers").glob("*.pdf")}
