"""Which deaths make a worker refuse to load a model."""

from workers.models.memory.refusal import refusal_by_deaths
from workers.queue.fleet import DEATHS_REMEMBERED_S, LoadDeath


def test_one_death_is_no_reason():
    assert refusal_by_deaths([], "here") is None
    assert refusal_by_deaths([LoadDeath("here", 5)], "here") is None


def test_a_machine_that_dies_of_a_model_again_and_again_does_not_try_it_for_a_while():
    refusal = refusal_by_deaths([LoadDeath("here", 5), LoadDeath("here", 100)], "here")
    assert refusal == ("2 workers of this machine have died of it", DEATHS_REMEMBERED_S - 100)


def test_it_is_tried_again_when_all_deaths_but_one_are_forgotten():
    deaths = [LoadDeath("here", ago_s) for ago_s in (5, 50, 500)]
    refusal = refusal_by_deaths(deaths, "here")
    assert refusal is not None and refusal[1] == DEATHS_REMEMBERED_S - 50


def test_another_machine_that_dies_of_it_says_nothing_of_this_one():
    deaths = [LoadDeath("weak", ago_s) for ago_s in (5, 50, 500)]
    assert refusal_by_deaths(deaths, "here") is None
    assert refusal_by_deaths([*deaths, LoadDeath("other", 5)], "here") is None


def test_three_machines_that_die_of_it_do():
    deaths = [LoadDeath(machine, ago_s) for machine, ago_s in (("a", 5), ("b", 30), ("c", 100), ("c", 200))]
    refusal = refusal_by_deaths(deaths, "here")
    assert refusal == ("workers of 3 other machines have died of it", DEATHS_REMEMBERED_S - 100)
