"""How large pages are drawn."""

import math
import random

import pytest

from ingest.documents.fitting import drawn_size, room, scaled_size
from ingest.documents.wants import RenderBudget
from workers.runners.vision.patches import Patching, fitting_size

MODELS = [Patching(14, 2, 4 * 28 * 28, 768 * 28 * 28), Patching(16, 2, 4 * 32 * 32, 1280 * 32 * 32)]


def budget_of(model: Patching) -> RenderBudget:
    return RenderBudget(model.max_pixels, model.block)


def sizes(count: int) -> list[tuple[float, float]]:
    """Points, of whole pixels at 300 dpi."""
    chance = random.Random(5)
    return [(chance.randrange(625, 12500) * 0.24, chance.randrange(625, 12500) * 0.24) for _ in range(count)]


@pytest.mark.parametrize("model", MODELS)
def test_a_page_is_drawn_at_the_size_that_the_model_would_scale_it_to(model: Patching):
    for width, height in [(595.2, 841.92), (612, 792), (960, 540), *sizes(500)]:
        drawn = drawn_size(width, height, budget_of(model))
        at_300_dpi = round(width * 300 / 72), round(height * 300 / 72)

        assert drawn == fitting_size(*at_300_dpi, model)
        assert drawn == fitting_size(*drawn, model)


@pytest.mark.parametrize("model", MODELS)
def test_an_image_that_was_made_smaller_is_left_as_it_is_by_the_model(model: Patching):
    for width, height in sizes(500):
        scaled = scaled_size(round(2 * width), round(2 * height), budget_of(model))

        if scaled != (round(2 * width), round(2 * height)):
            assert scaled == fitting_size(*scaled, model)


@pytest.mark.parametrize(
    "budget", [*map(budget_of, MODELS), RenderBudget(50, 28), RenderBudget(10**6, 1, 512)]
)
def test_no_size_of_a_page_takes_more_than_the_budget(budget: RenderBudget):
    chance = random.Random(7)
    for _ in range(2000):
        width, height = (10 ** chance.uniform(-3, 7) for _ in range(2))

        for across, down in (
            drawn_size(width, height, budget),
            scaled_size(math.ceil(width), math.ceil(height), budget),
        ):
            assert across >= 1 and down >= 1
            assert across * down * 3 <= room(budget)
            assert max(across, down) <= (budget.max_edge or math.inf)


def test_a_small_page_is_drawn_as_fine_as_print_is_read():
    assert drawn_size(144, 72, RenderBudget(10**7)) == (600, 300)


def test_a_small_image_stays_as_it_is():
    assert scaled_size(301, 77, RenderBudget(602112, 28)) == (301, 77)


def test_the_longer_side_is_as_long_as_it_may_be():
    budget = RenderBudget(2048 * 2048, max_edge=2048)

    assert drawn_size(595, 842, budget) == (1447, 2048)
    assert scaled_size(8000, 2000, budget) == (2048, 512)
