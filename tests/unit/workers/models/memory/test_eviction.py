"""What is loaded next, and who makes room."""

import math

import pytest

from jobs.job import Lane
from workers.models.memory.eviction import CachedModel, ModelChange, WantedModel, choose_change

NOW = 1000.0


def cached(
    size_bytes: int = 10,
    lane: Lane | None = None,
    *,
    stayed_s: float = 100,
    load_s: float = 1,
    unused_s: float = 10,
    expires_in_s: float = math.inf,
    used_by: Lane | None = None,
) -> CachedModel:
    times = NOW - stayed_s, load_s, NOW - unused_s, NOW + expires_in_s
    return CachedModel(size_bytes, lane, *times, used_by)


def want(
    model: str,
    lane: Lane = Lane.DEFAULT,
    *,
    size_bytes: int = 10,
    waited_s: float = 0,
    due_in_s: float = math.inf,
) -> WantedModel:
    return WantedModel(model, size_bytes, lane, NOW - waited_s, due_at=NOW + due_in_s)


def change(
    models: dict[str, CachedModel], *wanted: WantedModel, budget_bytes: int = 20
) -> ModelChange | None:
    return choose_change(models, wanted, budget_bytes=budget_bytes, starvation_s=5, now=NOW)


def test_what_fits_is_loaded_and_nobody_leaves():
    assert change({"a": cached(lane=Lane.INTERACTIVE)}, want("b")) == ModelChange("b", ())


def test_nothing_changes_while_nothing_is_wanted():
    assert change({"a": cached(), "b": cached(lane=Lane.BULK)}) is None


def test_the_least_recently_used_of_the_idle_leaves():
    models = {"a": cached(unused_s=3), "b": cached(unused_s=9)}
    assert change(models, want("c")) == ModelChange("c", ("b",))


def test_only_as_many_leave_as_make_room():
    models = {"a": cached(5, unused_s=9), "b": cached(5, unused_s=8), "c": cached(5, unused_s=7)}
    assert change(models, want("d", size_bytes=10), budget_bytes=15) == ModelChange("d", ("a", "b"))


def test_a_model_with_work_stays_before_work_of_its_own_lane():
    assert change({"a": cached(20, Lane.DEFAULT)}, want("b", Lane.DEFAULT)) is None


def test_a_model_with_work_leaves_for_work_of_a_higher_lane():
    assert change({"a": cached(20, Lane.BULK)}, want("b", Lane.INTERACTIVE)) == ModelChange("b", ("a",))


def test_a_model_with_work_leaves_for_one_whose_work_of_that_lane_starves():
    models = {"a": cached(20, Lane.BULK)}
    assert change(models, want("b", Lane.BULK, waited_s=4.9)) is None
    assert change(models, want("b", Lane.BULK, waited_s=5)) == ModelChange("b", ("a",))


@pytest.mark.parametrize("lane", [Lane.DEFAULT, Lane.BULK])
def test_work_of_a_lower_lane_takes_no_memory_from_a_higher_one_before_it_is_due(lane: Lane):
    models = {"a": cached(20, Lane.INTERACTIVE)}
    assert change(models, want("b", lane, waited_s=1000, due_in_s=0.1)) is None
    assert change(models, want("b", lane, waited_s=1000, due_in_s=0)) == ModelChange("b", ("a",))


def test_a_model_stays_between_two_jobs_of_a_higher_lane():
    models = {"a": cached(20, used_by=Lane.INTERACTIVE)}
    assert change(models, want("b", Lane.BULK, waited_s=1000)) is None
    assert change(models, want("b", Lane.BULK, due_in_s=0)) == ModelChange("b", ("a",))
    assert change(models, want("b", Lane.INTERACTIVE)) == ModelChange("b", ("a",))


def test_work_that_is_due_is_loaded_before_all_others():
    wanted = [want("chat", Lane.INTERACTIVE), want("bulk", Lane.BULK, due_in_s=-1)]
    assert change({}, *wanted) == ModelChange("bulk", ())


def test_one_that_may_take_nobody_s_memory_does_not_keep_another_from_taking_it():
    models = {"a": cached(10, Lane.INTERACTIVE), "c": cached(10, Lane.BULK)}
    starving = want("large", Lane.BULK, size_bytes=20, waited_s=60)
    assert change(models, starving, want("b", Lane.INTERACTIVE)) == ModelChange("b", ("c",))


@pytest.mark.parametrize(("lane", "turn"), [(None, 1), (Lane.BULK, 4)], ids=["idle", "working"])
def test_a_model_stays_in_proportion_to_what_loading_it_cost(lane: Lane | None, turn: int):
    wanted = want("b", Lane.INTERACTIVE, waited_s=60, due_in_s=-1)
    assert change({"a": cached(20, lane, stayed_s=turn * 3 - 0.1, load_s=3)}, wanted) is None
    assert change({"a": cached(20, lane, stayed_s=turn * 3, load_s=3)}, wanted) == ModelChange("b", ("a",))


def test_nobody_leaves_where_it_would_not_make_enough_room():
    assert change({"a": cached(10), "b": cached(10, Lane.DEFAULT)}, want("c", size_bytes=15)) is None


def test_the_highest_lane_is_loaded_first_then_the_longest_wait():
    wanted = [
        want("late", Lane.DEFAULT),
        want("early", Lane.DEFAULT, waited_s=1),
        want("chat", Lane.INTERACTIVE),
    ]
    assert change({}, *wanted) == ModelChange("chat", ())
    assert change({}, *wanted[:2]) == ModelChange("early", ())


def test_one_that_cannot_come_yet_does_not_keep_out_one_for_which_there_is_room():
    models = {"a": cached(10, Lane.INTERACTIVE)}
    large, small = want("large", Lane.INTERACTIVE, size_bytes=15), want("small", Lane.BULK)
    assert change(models, large, small) == ModelChange("small", ())
    assert change({"a": cached(20, Lane.DEFAULT)}, want("b"), want("c", Lane.BULK)) is None


def test_what_another_worker_has_in_memory_is_loaded_only_if_it_starves():
    assert change({"a": cached(20)}, want("b", waited_s=4.9)._replace(elsewhere=True)) is None
    starving = want("b", waited_s=5)._replace(elsewhere=True)
    assert change({"a": cached(20)}, starving) == ModelChange("b", ("a",))


def test_one_that_starves_is_loaded_before_all_others():
    wanted = [want("chat", Lane.INTERACTIVE), want("bulk", Lane.BULK, waited_s=5)]
    assert change({}, *wanted) == ModelChange("bulk", ())


def test_idle_ones_leave_before_those_that_work_for_less():
    models = {"bulk": cached(lane=Lane.BULK, unused_s=50), "idle": cached(unused_s=1)}
    assert change(models, want("chat", Lane.INTERACTIVE)) == ModelChange("chat", ("idle",))


def test_what_has_expired_leaves_unless_it_has_work():
    models = {
        "idle": cached(expires_in_s=0),
        "working": cached(lane=Lane.BULK, expires_in_s=-1),
        "kept": cached(expires_in_s=1),
    }
    assert change(models) == ModelChange(None, ("idle",))
