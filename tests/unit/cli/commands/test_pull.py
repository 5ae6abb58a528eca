"""`mlxq pull` against a stand-in hub: what is printed, and the exit code."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main
from cli.pull.display import Display
from jobs.catalogue.file import CatalogueFile
from jobs.machines.commands import Progress
from tests.checkpoints import make
from tests.support.hub.fixtures import hub
from tests.support.hub.repository import Made, of_folder, repository
from tests.support.hub.server import Hub
from tests.support.shell.terminal import CTRL_C, Terminal

__all__ = ["hub"]

WEIGHTS = "model.safetensors"


@pytest.fixture
def environ(hub: Hub, tmp_path: Path) -> dict[str, str]:
    hub.repositories["org/bert"] = of_folder(make.make("bert", tmp_path / "published"))
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "MLXQ_DATA": str(tmp_path / "data"),
    }


@pytest.fixture
def pull(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: main(["pull", *arguments])


def test_a_model_is_pulled_and_its_name_printed(
    pull: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert pull("org/bert", "--as", "vectors") == 0

    said = capsys.readouterr()
    assert said.out == "vectors\n"
    assert said.err.splitlines() == ["pulling manifest", "verifying sha256 digest", "writing manifest"]
    assert CatalogueFile(tmp_path / "data").read().find("vectors")


def test_as_json_every_line_is_an_object_also_the_failure(
    pull: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    assert pull("org/nothing", "--json") == 1

    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert lines[0] == {"status": "pulling manifest"}
    assert lines[-1]["code"] == "not_found"
    assert said.err == f"mlxq: {lines[-1]['error']} {lines[-1]['hint']}\n"


def test_on_a_terminal_a_line_tells_how_far_it_is_and_ctrl_c_ends_it(
    hub: Hub, environ: dict[str, str], tmp_path: Path
):
    hub.repositories["org/bert"].files.update(repository({WEIGHTS: Made(40_000_000)}).files)
    hub.bytes_per_s = 10_000_000

    with Terminal("-m", "cli.main", "pull", "org/bert", environ=environ) as terminal:
        terminal.wait_for("MB of 40.0 MB · ")
        terminal.type(CTRL_C)
        code = terminal.wait()
        text = terminal.text

    assert code == 130
    assert "The pull was canceled." in text and "Traceback" not in text


@pytest.mark.parametrize("arguments", [["--quantize", "5"], ["--type", "poet"], []])
def test_wrong_usage_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["pull", *(["org/bert"] if arguments else []), *arguments])
    assert ended.value.code == 2


def of_file(digest: str, completed: int, total: int) -> Progress:
    return Progress(status=f"pulling {digest}", digest=digest, total=total, completed=completed, file=digest)


def test_the_line_sums_up_the_files_and_counts_as_speed_only_what_came_just_now():
    display = Display(io.StringIO())
    display(Progress(status="pulling manifest", total=4_000_000_000, completed=1_000_000_000))
    display(of_file("a", 1_000_000_000, 3_000_000_000))
    assert display.line(0) == "pulling  25 % · 1.0 GB of 4.0 GB"

    display(of_file("a", 1_500_000_000, 3_000_000_000))
    display(of_file("b", 0, 1_000_000_000))

    assert display.line(10) == "pulling  37 % · 1.5 GB of 4.0 GB · 50.0 MB/s · 50 s left"


def test_what_is_no_terminal_gets_sentences_alone():
    out = io.StringIO()
    display = Display(out)

    for update in (
        Progress(status="pulling manifest"),
        of_file("a", 1, 2),
        Progress(status="pulling manifest", total=2),
    ):
        display(update)
    display(Progress(status="success", name="x"))

    assert out.getvalue() == "pulling manifest\n"
