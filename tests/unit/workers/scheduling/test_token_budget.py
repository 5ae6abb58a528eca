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
    found.begin_turn()
    wait(0.01)
    found.end_step()
    return found


def test_a_batch_gets_what_the_step_has_left(budget: TokenBudget, wait: Callable[[float], None]):
    assert budget.tokens("m") == pytest.approx(400, abs=1)
    wait(0.03)
    assert budget.tokens("m") == pytest.approx(100, abs=1)
    wait(0.02)
    assert not budget.has_time()
    assert budget.tokens("m") == 0


def test_an_item_may_pass_the_interval_by_a_little(budget: TokenBudget):
    assert budget.admits("m", 450)
    assert not budget.admits("m", 490)


def test_an_item_that_never_fits_runs_alone_at_a_turn_s_beginning(budget: TokenBudget):
    assert budget.admits("m", 800)
    budget.observe("m", 100, 100 * PER_TOKEN)  # something ran in this turn
    assert not budget.admits("m", 800)


def test_an_item_that_just_does_not_fit_is_not_put_off_for_ever(budget: TokenBudget):
    assert [budget.admits("m", 490) for _ in range(SKIPS + 1)] == [False] * SKIPS + [True]
