"""Cores that a process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.process.processor import cores

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are bound to cores on Linux only")

SESSION = Path("/proc/self/autogroup")
SESSIONS = pytest.mark.skipif(
    not os.access(SESSION, os.W_OK), reason="only some Linux kernels give sessions a priority"
)


@LINUX
def test_cores_that_are_not_ours_are_not_counted():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); from jobs.process.processor import cores; print(cores())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "1"


def test_there_is_a_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)


def lowered_process(*, in_session_of_its_own: bool) -> list[int]:
    """Its priority and its session's (if Linux counts it to one), after it has called for 7."""
    code = (
        "import os; from jobs.process.processor import lower_process_priority; lower_process_priority(7); "
        f"print(os.getpriority(os.PRIO_PROCESS, 0), *open('{SESSION}').read().split()[-1:])"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, start_new_session=in_session_of_its_own
    )
    return [int(each) for each in said.stdout.split()]


@SESSIONS
def test_a_process_that_leads_its_session_lowers_the_sessions_priority_too():
    assert lowered_process(in_session_of_its_own=True) == [7, 7]


@SESSIONS
def test_a_process_leaves_the_session_of_others_alone():
    before = [int(each) for each in SESSION.read_text().split()[-1:]]  # none where nobody began a session
    assert lowered_process(in_session_of_its_own=False) == [
        max(7, os.getpriority(os.PRIO_PROCESS, 0)),
        *before,
    ]


def test_a_process_that_has_a_lower_priority_keeps_it():
    code = (
        "import os; from jobs.process.processor import lower_process_priority; os.nice(9); "
        "lower_process_priority(3); print(os.getpriority(os.PRIO_PROCESS, 0))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) >= 9
