"""What is loaded next, and who makes room."""

import math

import pytest

from jobs.job import Lane
from workers.models.eviction import Change, Place, Want, choose_change

NOW = 1000.0


def place(
    size_bytes: int = 10,
    lane: Lane | None = None,
    *,
    stayed_s: float = 100,
    load_s: float = 1,
    unused_s: float = 10,
    expires_in_s: float = math.inf,
) -> Place:
    return Place(size_bytes, lane, NOW - stayed_s, load_s, NOW - unused_s, NOW + expires_in_s)


def want(model: str, lane: Lane = Lane.DEFAULT, *, size_bytes: int = 10, waited_s: float = 0) -> Want:
    return Want(model, size_bytes, lane, NOW - waited_s)


def change(places: dict[str, Place], *wants: Want, budget_bytes: int = 20) -> Change | None:
    return choose_change(places, wants, budget_bytes=budget_bytes, starvation_s=5, now=NOW)


def test_what_fits_is_loaded_and_nobody_leaves():
    assert change({"a": place(lane=Lane.INTERACTIVE)}, want("b")) == Change("b", ())


def test_nothing_changes_while_nothing_is_wanted():
    assert change({"a": place(), "b": place(lane=Lane.BULK)}) is None


def test_the_least_recently_used_of_the_idle_leaves():
    places = {"a": place(unused_s=3), "b": place(unused_s=9)}
    assert change(places, want("c")) == Change("c", ("b",))


def test_only_as_many_leave_as_make_room():
    places = {"a": place(5, unused_s=9), "b": place(5, unused_s=8), "c": place(5, unused_s=7)}
    assert change(places, want("d", size_bytes=10), budget_bytes=15) == Change("d", ("a", "b"))


def test_a_model_with_work_stays_before_work_of_its_own_lane():
    assert change({"a": place(20, Lane.DEFAULT)}, want("b", Lane.DEFAULT)) is None


def test_a_model_with_work_leaves_for_work_of_a_higher_lane():
    assert change({"a": place(20, Lane.BULK)}, want("b", Lane.INTERACTIVE)) == Change("b", ("a",))


def test_a_model_with_work_leaves_for_one_that_starves():
    places = {"a": place(20, Lane.INTERACTIVE)}
    assert change(places, want("b", Lane.BULK, waited_s=4.9)) is None
    assert change(places, want("b", Lane.BULK, waited_s=5)) == Change("b", ("a",))


@pytest.mark.parametrize(("lane", "turn"), [(None, 1), (Lane.BULK, 4)], ids=["idle", "working"])
def test_a_model_stays_in_proportion_to_what_loading_it_cost(lane: Lane | None, turn: int):
    wanted = want("b", Lane.INTERACTIVE, waited_s=60)
    assert change({"a": place(20, lane, stayed_s=turn * 3 - 0.1, load_s=3)}, wanted) is None
    assert change({"a": place(20, lane, stayed_s=turn * 3, load_s=3)}, wanted) == Change("b", ("a",))


def test_nobody_leaves_where_it_would_not_make_enough_room():
    assert change({"a": place(10), "b": place(10, Lane.DEFAULT)}, want("c", size_bytes=15)) is None


def test_the_highest_lane_is_loaded_first_then_the_longest_wait():
    wants = [
        want("late", Lane.DEFAULT),
        want("early", Lane.DEFAULT, waited_s=1),
        want("chat", Lane.INTERACTIVE),
    ]
    assert change({}, *wants) == Change("chat", ())
    assert change({}, *wants[:2]) == Change("early", ())


def test_one_that_cannot_come_yet_does_not_keep_out_one_for_which_there_is_room():
    places = {"a": place(10, Lane.INTERACTIVE)}
    large, small = want("large", Lane.INTERACTIVE, size_bytes=15), want("small", Lane.BULK)
    assert change(places, large, small) == Change("small", ())
    assert change({"a": place(20, Lane.DEFAULT)}, want("b"), want("c", Lane.BULK)) is None


def test_what_another_worker_has_in_memory_is_loaded_only_if_it_starves():
    assert change({"a": place(20)}, want("b", waited_s=4.9)._replace(elsewhere=True)) is None
    starving = want("b", waited_s=5)._replace(elsewhere=True)
    assert change({"a": place(20)}, starving) == Change("b", ("a",))


def test_one_that_starves_is_loaded_before_all_others():
    wants = [want("chat", Lane.INTERACTIVE), want("bulk", Lane.BULK, waited_s=5)]
    assert change({}, *wants) == Change("bulk", ())


def test_idle_ones_leave_before_those_that_work_for_less():
    places = {"bulk": place(lane=Lane.BULK, unused_s=50), "idle": place(unused_s=1)}
    assert change(places, want("chat", Lane.INTERACTIVE)) == Change("chat", ("idle",))


def test_what_has_expired_leaves_unless_it_has_work():
    places = {
        "idle": place(expires_in_s=0),
        "working": place(lane=Lane.BULK, expires_in_s=-1),
        "kept": place(expires_in_s=1),
    }
    assert change(places) == Change(None, ("idle",))
