"""What docs/coming-from.md tells people of other servers to type does what they want, row after row."""

import base64
import io
import itertools
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import openai
import pytest

from cli.configuration import load_settings
from cli.main import build_parser, main
from tests.checkpoints import colqwen, rerankers, vision
from tests.checkpoints import make as checkpoints
from tests.support.folders import ROOT
from tests.support.hub.repository import of_folder
from tests.support.hub.server import running_hub
from tests.support.images import plain
from tests.support.stack import Stack

PAGE = (ROOT / "docs" / "coming-from.md").read_text()
IMAGE = base64.b64encode(plain(64, 64)).decode()
SAME = "the same"
STARTS = ("up", "serve", "worker")
MESSAGES = [{"role": "user", "content": "What is the weather in Tokyo?"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather in a given city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


class Row(NamedTuple):
    server: str
    theirs: str
    ours: str

    @property
    def typed(self) -> str:
        """What is to be typed here."""
        return code_of(self.theirs if self.ours.startswith(SAME) else self.ours)


def code_of(cell: str) -> str:
    """What stands in the first code span. A table needs a backslash before each bar."""
    found = re.match(r"`([^`]*)`", cell)
    assert found, cell
    return found[1].replace("\\|", "|")


def rows() -> list[Row]:
    found = list[Row]()
    for section in PAGE.split("\n## ")[1:]:
        server = section.partition("\n")[0]
        for line in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE):
            theirs, _, ours = line.rpartition(" | ")
            found.append(Row(server, theirs, ours))
    return found


ROWS = rows()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a machine that pulls: its hub has small models under the names that the page uses."""
    folder = tmp_path_factory.mktemp("published")
    chat = of_folder(ROOT / "examples" / "tiny_chat" / "model")
    with running_hub() as hub:
        hub.repositories |= {
            "Qwen/Qwen3-Embedding-0.6B": of_folder(checkpoints.make("bert", folder / "embeds")),
            "Qwen/Qwen3-Reranker-0.6B": of_folder(rerankers.make("bert", folder / "ranks")),
            "mixedbread-ai/mxbai-embed-xsmall-v1": of_folder(folder / "embeds"),
            "mlx-community/Llama-3.2-3B-Instruct-4bit": chat,
            "mlx-community/Qwen3-4B-Instruct-2507-4bit": chat,
        }
        with pytest.MonkeyPatch.context() as environ:
            environ.setenv("HF_ENDPOINT", hub.url)
            environ.setenv("HF_HUB_CACHE", str(folder / "cache"))
            environ.setenv("MLXQ_DATA", str(folder / "data"))
            yield folder / "data"


@pytest.fixture(scope="module")
def stack(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Small models under the names that the page uses."""
    folder = tmp_path_factory.mktemp("models")
    chat = ROOT / "examples" / "tiny_chat" / "model"
    sees = vision.make("qwen3_vl", folder / "sees")
    served = {
        "Qwen/Qwen3-Embedding-0.6B": "all-MiniLM-L6-v2",
        "all-MiniLM-L6-v2": "all-MiniLM-L6-v2",
        "Qwen/Qwen3-Reranker-0.6B": rerankers.make("bert", folder / "ranks"),
        "qnguyen3/colqwen2.5-v0.2-mlx": colqwen.make(folder / "pages"),
        "local-model": chat,
        "gpt-3.5-turbo": chat,
        "llama3.2": chat,
        "mlx-community/DeepSeek-R1-Distill-Qwen-1.5B-MLX-Q8": f"{chat},task=embed",
        "local-vlm": sees,
        "mlx-community/gemma-3-4b-it-4bit": sees,
        "mlx-community/Qwen3-VL-4B-Instruct-4bit": sees,
        "mlx-community/Qwen2.5-VL-3B-Instruct-4bit": f"{sees},task=embed",
    }
    models = [f"{name}={where}" for name, where in served.items()]
    with Stack(tmp_path_factory.mktemp("stack"), *models, data=data) as stack:
        yield stack


def words_of(command: str) -> tuple[dict[str, str], list[str]]:
    """The variables before a command, and its words."""
    words = shlex.split(command)
    count = next(at for at, word in enumerate(words) if not re.fullmatch(r"[A-Z_]+=.*", word))
    return dict(word.split("=", 1) for word in words[:count]), words[count:]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.server}: {row.theirs[:60]}")
def test_each_row_does_what_it_says(
    row: Row,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    if row.typed.startswith("client."):
        call_openai(row.typed, stack)
        return
    variables, words = words_of(row.typed)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    match words:
        case ["mlxq", command, *_] if command in STARTS and "--help" not in words:
            start_is_understood(words, variables)
        case ["mlxq", *arguments]:
            assert run_command(arguments, stack, monkeypatch) == 0, capsys.readouterr().err
            assert capsys.readouterr().out or arguments[0] == "stop"
        case ["curl", *arguments]:
            send(arguments, stack)
        case ["python", script]:
            assert (ROOT / script).is_file()  # tests/integration/documents/test_examples.py runs it
        case _:
            pytest.fail(f"nobody runs {row.typed}")


def start_is_understood(words: Sequence[str], variables: dict[str, str]) -> None:
    """Every option and variable is a setting that has its value then."""
    settings = load_settings(build_parser().parse_args(words[1:]))
    shown = settings.model_dump(mode="json")
    for name, value in variables.items():
        read = shown[name.removeprefix("MLXQ_").lower()]
        assert read == (json.loads(value) if isinstance(read, int | float | list) else value), name
    for option, value in itertools.pairwise(words):
        if option == "--model":
            assert value in settings.models
        elif option.startswith("--"):
            assert str(shown[option.removeprefix("--")]) == value


def run_command(arguments: Sequence[str], stack: Stack, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """Its exit code. In this process: to start one for each row would take longer than all else."""
    monkeypatch.setenv("MLXQ_PORT", stack.url.rpartition(":")[2])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))  # nothing is piped in
    try:
        return main(arguments)
    except SystemExit as ended:  # of --help and --version
        return ended.code


def send(arguments: Sequence[str], stack: Stack) -> None:
    """What curl would."""
    at = next(at for at, word in enumerate(arguments) if word.startswith("http:"))
    url = re.sub(r"http://localhost:\d+", stack.url, arguments[at])
    others = [*arguments[:at], *arguments[at + 1 :]]
    given = [*zip(others[::2], others[1::2], strict=True)]
    headers = dict(value.split(": ") for option, value in given if option == "-H")
    options = dict(given)
    body = re.sub(r'https://[^"]*\.jpg', f"data:image/png;base64,{IMAGE}", options.get("-d", ""))
    body = body.replace("base64,...", f"base64,{IMAGE}")
    method = options.get("-X", "POST" if body else "GET")
    reply = httpx.request(method, url, content=body, headers=headers, timeout=120, trust_env=False)
    assert reply.status_code == 200, reply.text
    assert '"error"' not in reply.text and "detail" not in reply.text[:10]


def call_openai(call: str, stack: Stack) -> None:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="not-needed", max_retries=0) as client:
        names = {
            "client": client,
            "base64_image": IMAGE,
            "image_uri": f"data:image/png;base64,{IMAGE}",
            "messages": MESSAGES,
            "tools": TOOLS,
        }
        reply = eval(call, names)  # what the page tells people to write
        parts = [*reply] if "stream=True" in call else [reply]
        assert all(part.model for part in parts)
        assert parts[0].data[0].embedding if "embeddings" in call else parts[0].choices


def test_the_page_has_every_server_and_no_row_is_missed():
    assert [*dict.fromkeys(row.server for row in ROWS)] == re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    heads = 2 * PAGE.count("| theirs | ours |")
    assert len(ROWS) == sum(line.startswith("|") for line in PAGE.splitlines()) - heads
