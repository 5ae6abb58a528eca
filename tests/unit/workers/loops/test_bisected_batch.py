from collections.abc import Sequence

import pytest

from jobs.errors import InternalError, JobError
from workers.loops.device import run_bisected


@pytest.mark.parametrize("bad", [{3}, {0, 7}, set(range(8))])
def test_items_that_break_a_batch_fail_alone(bad: set[int]):
    def run(items: Sequence[int]) -> list[int]:
        if bad & set(items):
            raise RuntimeError("device breaks")
        return [item * 10 for item in items]

    outcomes = run_bisected(run, list(range(8)))

    for item, outcome in enumerate(outcomes):
        if item in bad:
            assert isinstance(outcome, JobError)
        else:
            assert outcome == item * 10


def test_the_cause_of_a_failure_is_kept_for_the_log():
    def run(items: Sequence[int]) -> list[int]:
        raise RuntimeError("device breaks")

    (outcome,) = run_bisected(run, [1])
    assert isinstance(outcome, InternalError)
    assert isinstance(outcome.__cause__, RuntimeError)


def test_a_runner_that_loses_an_outcome_fails_instead_of_shifting_results():
    outcomes = run_bisected(lambda items: list(items)[:-1] if len(items) > 1 else list(items), [1, 2, 3, 4])
    assert outcomes == [1, 2, 3, 4]
