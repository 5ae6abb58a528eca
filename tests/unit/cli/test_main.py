import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.configuration import ConfigurationError, child_environ, load_settings
from cli.main import build_parser, main
from jobs.process.colour import bleach, paint
from jobs.process.processor import NICE
from jobs.settings import Settings
from jobs.store.redis_url import shown_url
from tests.support.folders import ROOT
from tests.support.waiting import wait_until


def load(*arguments: str) -> Settings:
    return load_settings(build_parser().parse_args(arguments))


@pytest.fixture(autouse=True)
def _clean_environ(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("MLXQ_") or name == "REDIS_URL"]:
        monkeypatch.delenv(name)


def test_an_option_goes_before_its_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLXQ_PORT", "1234")
    monkeypatch.setenv("MLXQ_QUEUE_LIMIT", "77")

    settings = load("up", "--port", "0", "--model", "one", "--model", "two", "--redis", "redis://here")

    assert (settings.port, settings.models, settings.redis_url) == (0, ("one", "two"), "redis://here")
    assert settings.queue_limit == 77


@pytest.mark.parametrize(
    ("environ", "arguments", "says"),
    [
        ({"MLXQ_PORT": "99999"}, ["up"], "MLXQ_PORT=99999"),
        ({"MLXQ_LEASE_S": "soon"}, ["worker"], "MLXQ_LEASE_S=soon"),
        ({"MLXQ_PORT": "99999"}, ["up", "--port", "x1"], "--port=x1"),
        ({"MLXQ_MODELS": "one"}, ["up"], "MLXQ_MODELS=one"),
        ({"MLXQ_FETCH_ALLOW": "10.0.0.0/8"}, ["up"], "MLXQ_FETCH_ALLOW=10.0.0.0/8"),
        ({"MLXQ_FETCH_ALLOW": '["*.local"]'}, ["up"], "MLXQ_FETCH_ALLOW=['*.local']"),
        ({}, ["serve", "--api-processes", "0"], "--api-processes=0"),
    ],
)
def test_a_bad_value_stops_with_one_line_that_names_it(
    environ: dict[str, str],
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert main(arguments) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"mlxq: {says}: ")
    assert error.count("\n") == 1


def test_a_bad_redis_url_is_refused_without_showing_its_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDIS_URL", "http://:secret@here")

    with pytest.raises(ConfigurationError) as refused:
        load("serve")

    assert str(refused.value).startswith("REDIS_URL: ")
    assert "secret" not in str(refused.value)


def test_a_child_reads_the_very_settings_of_its_parent(monkeypatch: pytest.MonkeyPatch):
    settings = load("up", "--model", "a=b c", "--model", "ünï", "--data", "/x y", "--redis", "unix:///s")
    environ = child_environ(settings.model_copy(update={"lease_s": 2.5, "batch_tokens": 512}))

    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert Settings() == settings.model_copy(update={"lease_s": 2.5, "batch_tokens": 512})


def test_a_password_is_not_shown():
    assert shown_url("redis://user:secret@host:1/2") == "redis://host:1/2"
    assert shown_url("unix:///run/redis.sock?password=secret") == "unix:///run/redis.sock"


@pytest.mark.parametrize(
    "arguments", [["serve", "--host", "{}"], ["serve", "--port", "{}"], ["up", "--redis-url={}"], ["{}"]]
)
def test_a_redis_url_in_a_wrong_place_is_not_quoted(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    try:
        code = main([each.format("redis://:can ary@host") for each in arguments])
    except SystemExit as ended:
        code = ended.code

    assert code in (1, 2)
    assert "ary" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["version"], ["--version"]])
def test_the_command_answers_from_another_folder(arguments: list[str], tmp_path: Path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "mlxq" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["upp"], "Did you mean up?"),
        (["Worker"], "Did you mean worker?"),
        (["settigns"], "Did you mean settings?"),
        (["up", "--modle", "x"], "Did you mean --model?"),
        (["up", "--prot=80"], "Did you mean --port?"),
        (["serve", "--api-proceses", "2"], "Did you mean --api-processes?"),
        (["worker", "--prot", "80"], None),  # it has none
        (["zzz"], None),
    ],
)
def test_a_misspelt_command_or_option_is_told_the_nearest(
    arguments: list[str], meant: str | None, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert meant in said if meant else "Did you mean" not in said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert paint("mlxq:", "red", Terminal()) == "\x1b[31mmlxq:\x1b[0m"
    assert bleach(paint("mlxq:", "red", Terminal())) == "mlxq:"
    assert paint("mlxq:", "red", io.StringIO()) == "mlxq:"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("mlxq:", "red", Terminal()) == "mlxq:"


def test_an_ingest_leaves_the_processor_to_others(tmp_path: Path):
    passwords = tmp_path / "passwords"
    os.mkfifo(passwords)
    command = (sys.executable, "-m", "cli.main", "ingest", tmp_path, "--data", tmp_path / "data")
    with subprocess.Popen((*command, "--password-file", passwords), cwd=ROOT) as ingest:
        writer = wait_until(lambda: _opened(passwords))  # it reads them, and gets none yet
        nice = os.getpriority(os.PRIO_PROCESS, ingest.pid)
        os.close(writer)
        ingest.wait()

    assert nice >= NICE


def _opened(fifo: Path) -> int | None:
    """For writing, once somebody reads it."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


@pytest.mark.parametrize("command", ["settings", "version"])
def test_a_reader_that_has_seen_enough_ends_a_command_without_a_word(command: str):
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        [sys.executable, "-m", "cli.main", command],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=120,
    )
    os.close(writing)
    assert (said.returncode, said.stderr) == (141, b"")
