"""The models in memory, on a fake runner."""

import math
import time

import pytest

from jobs.job import Lane
from tests.support.fake_runner import FakeRunner
from tests.support.waiting import wait_until
from workers.models.memory.eviction import ModelChange, _has_stayed
from workers.models.model_cache import HOPE_S, ModelCache, preloaded
from workers.queue.fleet import FleetView

LOAD_S = 0.03


class SlowToLoad(FakeRunner):
    def load(self):
        time.sleep(LOAD_S)
        yield


def loaded_now() -> ModelCache:
    return preloaded({"m": SlowToLoad("m")})


def test_a_job_waited_for_the_load_from_its_own_submission_on():
    before = time.time()
    cache = loaded_now()
    whole_s = cache.load_wait_s("m", before)
    assert LOAD_S <= whole_s <= time.time() - before
    assert cache.load_wait_s("m", before + LOAD_S / 2) < whole_s


def test_a_job_that_was_there_long_before_waited_no_longer_than_the_load_took():
    cache = loaded_now()
    assert LOAD_S <= cache.load_wait_s("m", 0) < 1000


def test_a_job_that_came_after_the_load_did_not_wait_for_it():
    cache = loaded_now()
    assert cache.load_wait_s("m", time.time()) == 0
    assert cache.load_wait_s("another", time.time()) == 0


def one_of_two_fits() -> ModelCache:
    """a is in memory, b is not."""
    runners = {model: SlowToLoad(model) for model in "ab"}
    for runner in runners.values():
        runner.weight_bytes = 10
    cache = ModelCache(runners, budget_bytes=10, starvation_s=1)
    cache.load_fitting()
    wait_until(lambda: all(_has_stayed(each, time.monotonic()) for each in cache._cached.values()))
    return cache


def test_a_model_that_a_higher_lane_has_just_used_stays():
    cache = one_of_two_fits()
    cache.touch("a", Lane.INTERACTIVE, None)
    assert cache.choose({"b": Lane.BULK}) is None
    assert cache.choose({"b": Lane.INTERACTIVE}) == ModelChange("b", ("a",))


def test_a_model_that_its_own_lane_has_just_used_leaves():
    cache = one_of_two_fits()
    cache.touch("a", Lane.BULK, None)
    assert cache.choose({"b": Lane.BULK}) == ModelChange("b", ("a",))


def test_work_whose_time_to_wait_is_nearly_over_takes_the_memory():
    cache = one_of_two_fits()
    cache.touch("a", Lane.INTERACTIVE, None)
    cache.note_begin_by({"b": time.monotonic() + 2})
    assert cache.choose({"b": Lane.BULK}) is None
    cache.note_begin_by({"b": time.monotonic() + 0.9})
    assert cache.choose({"b": Lane.BULK}) == ModelChange("b", ("a",))


def refused() -> tuple[ModelCache, float]:
    """b cannot be loaded here, and from when on the others are looked at."""
    cache = one_of_two_fits()
    cache.refuse("b", "its file is damaged")
    return cache, time.monotonic()


def test_jobs_fail_here_when_nobody_who_can_load_their_model_was_seen_for_a_while():
    cache, now = refused()
    for second in range(4):
        cache.note_fleet(FleetView(now + second, able=frozenset("b")))
    for second in range(4, 4 + int(HOPE_S)):
        cache.note_fleet(FleetView(now + second))
        assert cache.serves("b") == (second >= 3 + HOPE_S)
    assert not cache.is_refused("a")


def test_a_worker_that_is_starting_or_an_outage_is_waited_for():
    cache, now = refused()
    cache.note_fleet(FleetView(now, is_starting=True))
    cache.note_fleet(FleetView(now + 1))
    assert not cache.serves("b")
    after_an_outage = now + 100
    cache.note_fleet(FleetView(after_an_outage))
    assert not cache.serves("b")
    for second in range(1, int(HOPE_S) + 1):
        cache.note_fleet(FleetView(after_an_outage + second))
    assert cache.serves("b")


def until_it_leaves(cache: ModelCache) -> float | None:
    """Seconds; None: it stays."""
    [loaded] = cache.report()
    return None if loaded.expires_at is None else loaded.expires_at - time.time()


def test_what_one_caller_asked_for_holds_for_the_next_who_says_nothing():
    cache = loaded_now()
    cache.touch("m", Lane.DEFAULT, 60)
    cache.touch("m", Lane.DEFAULT, None)
    assert until_it_leaves(cache) == pytest.approx(60, abs=5)
    cache.touch("m", Lane.DEFAULT, math.inf)
    cache.touch("m", Lane.DEFAULT, None)
    assert until_it_leaves(cache) is None


def leave(cache: ModelCache) -> None:
    change = ModelChange(None, ("m",))
    assert cache.choose({}) == change
    cache.begin_change(change)
    assert cache.carry_out(lambda _: False, lambda: True)


def test_a_model_that_is_let_go_leaves_and_comes_back_for_the_usual_time():
    cache = loaded_now()
    cache.touch("m", Lane.DEFAULT, 60)
    cache.let_go("m")
    leave(cache)
    assert cache.report() == ()
    cache.load_fitting()
    assert until_it_leaves(cache) is None


def test_a_model_that_is_let_go_ends_its_work_first():
    cache = loaded_now()
    cache.let_go("m")
    assert cache.choose({"m": Lane.BULK}) is None
    cache.touch("m", Lane.BULK, None)
    leave(cache)


def test_a_model_that_is_let_go_while_it_is_loaded_leaves_after_that():
    class InSteps(SlowToLoad):
        def load(self):
            yield
            yield

    cache = ModelCache({"m": InSteps("m")}, budget_bytes=10)
    cache.let_go("m")  # not in memory: nothing to do
    cache.begin_change(ModelChange("m", ()))
    assert cache.carry_out(lambda _: False, lambda: False)
    cache.let_go("m")
    assert not cache.report()
    assert cache.carry_out(lambda _: False, lambda: True)
    leave(cache)


def test_a_model_that_is_let_go_while_it_is_not_there_is_loaded_as_usual():
    cache = ModelCache({"m": SlowToLoad("m")}, budget_bytes=10)
    cache.let_go("m")
    cache.load_fitting()
    assert until_it_leaves(cache) is None


def test_a_retired_model_leaves_the_memory_when_its_work_is_done():
    model_cache = preloaded({"a": FakeRunner("a"), "b": FakeRunner("b")})
    model_cache.retire("a")

    assert set(model_cache.runners) == {"b"} and model_cache.has("a") and not model_cache.is_settled
    assert model_cache.choose({"a": Lane.BULK}) is None  # it has work
    assert model_cache.runner("a").info.id == "a"
    change = ModelChange(None, ("a",))
    assert model_cache.choose({}) == change
    model_cache.begin_change(change)
    assert model_cache.carry_out(lambda _: False, lambda: True)
    assert [each.id for each in model_cache.report()] == ["b"]
    assert model_cache.choose({}) is None
    assert not model_cache.has("a") and model_cache.is_settled


def test_a_retired_model_is_not_loaded_for_work_that_is_left():
    model_cache = ModelCache({"a": FakeRunner("a")}, budget_bytes=10)
    model_cache.retire("a")

    assert model_cache.choose({"a": Lane.INTERACTIVE}) is None


def test_an_added_model_is_loaded_for_its_work():
    model_cache = preloaded({"a": FakeRunner("a")})
    told = model_cache.changes
    model_cache.add(FakeRunner("late"))

    assert model_cache.changes > told and not model_cache.is_settled
    assert model_cache.choose({"late": Lane.BULK}) == ModelChange("late", ())
