"""Cores that a process may use."""

import os
import subprocess
import sys

import pytest

from jobs.process.processor import cores

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are bound to cores on Linux only")


@LINUX
def test_cores_that_are_not_ours_are_not_counted():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); from jobs.process.processor import cores; print(cores())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "1"


def test_there_is_a_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)
