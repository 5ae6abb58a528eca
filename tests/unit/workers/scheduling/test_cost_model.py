"""The price of device work, learned online."""

import pytest

from workers.scheduling.cost_model import CostModel


def learned(points: list[tuple[int, float]]) -> CostModel:
    costs = CostModel()
    for tokens, seconds in points:
        costs.observe(tokens, seconds)
    return costs


def test_a_line_is_found():
    costs = learned([(tokens, 0.002 + 1e-4 * tokens) for tokens in (10, 100, 500, 30, 80)])
    assert costs.predict(200) == pytest.approx(0.022, rel=1e-3)
    assert costs.tokens_within(0.012) == pytest.approx(100, abs=1)


def test_equal_sizes_are_priced_by_the_token():
    costs = learned([(100, 0.01)] * 5)
    assert costs.predict(50) == pytest.approx(0.005)


def test_a_price_never_falls_with_the_size():
    costs = learned([(10, 0.05), (1000, 0.01), (500, 0.02)])
    assert costs.predict(1000) >= costs.predict(10) > 0


def test_a_machine_that_became_slower_is_believed():
    costs = learned(
        [(n, 1e-4 * n) for n in (100, 200, 300)] * 20 + [(n, 4e-4 * n) for n in (100, 200, 300)] * 40
    )
    assert costs.predict(100) == pytest.approx(0.04, rel=0.1)


def test_before_the_first_measurement_anything_fits():
    assert CostModel().tokens_within(0.001) > 1_000_000
    assert CostModel().predict(1000) == 0.0


def test_no_time_is_no_tokens():
    assert learned([(100, 0.01), (200, 0.018)]).tokens_within(0.0) == 0


def test_a_launch_gives_some_tokens_for_nothing():
    costs = learned([(tokens, 0.04 + 1e-5 * tokens) for tokens in (100, 500, 1000)])
    assert costs.free_tokens() == pytest.approx(1000, abs=2)
    assert costs.tokens_within(0.045) == pytest.approx(500, abs=2)


def test_one_size_tells_no_launch():
    costs = learned([(128, 0.04)] * 5)
    assert costs.is_one_sided
    assert costs.free_tokens() == 0
    costs.observe(256, 0.041)
    assert not costs.is_one_sided
    assert costs.free_tokens() > 500
