"""What fits between two tokens."""

from collections.abc import Callable

import pytest

from workers.scheduling import token_budget
from workers.scheduling.token_budget import SKIPS, TokenBudget

T = 0.05
PER_TOKEN = 0.0001


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock on."""
    now = [100.0]
    monkeypatch.setattr(token_budget.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


@pytest.fixture
def budget(wait: Callable[[float], None]) -> TokenBudget:
    """In the middle of a turn whose decode step took 10 ms; a token of the model costs a tenth of a millisecond."""
    found = TokenBudget(["m"], T)
    for tokens in (100, 200, 300):
        found.observe("m", tokens, tokens * PER_TOKEN)
    for _ in range(100):
        take_step(found, wait, 0.01)
    return found


def take_step(budget: TokenBudget, wait: Callable[[float], None], seconds: float) -> None:
    budget.begin_turn()
    wait(seconds)
    budget.end_step()


def test_a_batch_gets_what_the_step_has_left(budget: TokenBudget, wait: Callable[[float], None]):
    assert budget.tokens("m") == pytest.approx(400, abs=1)
    wait(0.03)
    assert budget.tokens("m") == pytest.approx(100, abs=1)
    wait(0.02)
    assert not budget.has_time()
    assert budget.tokens("m") == 0


def test_the_interval_is_from_tokens_to_tokens_whatever_the_last_step_took(
    budget: TokenBudget, wait: Callable[[float], None]
):
    take_step(budget, wait, 0.02)
    left_s = budget.tokens("m") * PER_TOKEN
    assert left_s == pytest.approx(T - 0.01 - 0.002, abs=2e-3)  # as always, and a little less: steps differ


def test_steps_that_differ_leave_less(budget: TokenBudget, wait: Callable[[float], None]):
    for _ in range(50):
        take_step(budget, wait, 0.008)
        take_step(budget, wait, 0.016)
    assert budget.tokens("m") * PER_TOKEN == pytest.approx(T - 0.016, abs=2e-3)


def test_while_prompts_are_computed_batches_get_what_those_leave(
    budget: TokenBudget, wait: Callable[[float], None]
):
    take_step(budget, wait, 0.04)
    assert budget.tokens("m") * PER_TOKEN == pytest.approx(0.01, abs=1e-3)
    take_step(budget, wait, 0.06)
    assert not budget.has_time()
    take_step(budget, wait, 0.01)
    assert budget.tokens("m") * PER_TOKEN == pytest.approx(0.04, abs=1e-3)


def test_an_item_may_pass_the_interval_by_a_little(budget: TokenBudget):
    assert budget.admits("m", 450)
    assert not budget.admits("m", 490)


def test_an_item_that_never_fits_runs_alone_at_a_turn_s_beginning(budget: TokenBudget):
    assert budget.admits("m", 800)
    budget.observe("m", 100, 100 * PER_TOKEN)  # something ran in this turn
    assert not budget.admits("m", 800)


def test_an_item_that_just_does_not_fit_is_not_put_off_for_ever(budget: TokenBudget):
    assert [budget.admits("m", 490) for _ in range(SKIPS + 1)] == [False] * SKIPS + [True]
