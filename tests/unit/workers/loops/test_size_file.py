"""What outlives a process about its batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.folders import ROOT
from workers.loops.size_file import SizeFile
from workers.scheduling.batch_sizes import Learned

KILLED = """
import os, signal, sys
from pathlib import Path
from workers.loops.size_file import SizeFile
file = SizeFile(Path(sys.argv[1]), sys.argv[2])
for word in sys.argv[3:]:
    file.begin("m:1", int(word)) if word != "end" else file.end()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, *words: str, device: str = "gpu") -> None:
    """A process that begins batches of these sizes, and is killed."""
    subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), device, *words], cwd=ROOT, check=False, timeout=60
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sizes"


def test_the_batch_that_a_process_was_killed_with_is_told_once(folder: Path):
    killed(folder, "10000", "37")
    file = SizeFile(folder, "gpu")
    assert file.deaths() == [("m:1", 37)]
    assert file.deaths() == []
    file.close()
    again = SizeFile(folder, "gpu")
    assert again.deaths() == []
    again.close()


def test_a_process_that_is_killed_between_two_batches_did_not_die_of_one(folder: Path):
    killed(folder, "500", "end")
    assert SizeFile(folder, "gpu").deaths() == []


def test_another_device_s_death_teaches_nothing(folder: Path):
    killed(folder, "500", device="another gpu")
    assert SizeFile(folder, "gpu").deaths() == []


def test_a_living_process_is_not_taken_for_a_dead_one(folder: Path):
    living = SizeFile(folder, "gpu")
    living.begin("m", 500)
    (note,) = folder.glob("*.running")
    note.rename(folder / note.name.replace(f".{os.getpid()}.", ".999999."))  # as if it were another process
    assert SizeFile(folder, "gpu").deaths() == []


def test_what_was_learned_is_kept_by_device_and_model(folder: Path):
    file = SizeFile(folder, "gpu")
    file.write("a", Learned(tokens=300))
    file.write("b", Learned(tokens=40))
    file.close()
    assert SizeFile(folder, "gpu").read() == {"a": Learned(tokens=300), "b": Learned(tokens=40)}
    assert SizeFile(folder, "cpu").read() == {}


def test_a_damaged_file_is_as_good_as_none(folder: Path, caplog: pytest.LogCaptureFixture):
    file = SizeFile(folder, "gpu")
    (folder / "gpu.json").write_bytes(b'{"m": ')
    assert file.read() == {}
    assert "cannot be read" in caplog.text
