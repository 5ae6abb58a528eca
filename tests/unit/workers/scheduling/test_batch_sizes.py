"""What is learned from batches that were too large."""

from collections.abc import Mapping

from workers.scheduling.batch_sizes import (
    GROW_AFTER,
    BatchSizes,
    Learned,
    after_death,
    after_failure,
    after_success,
)

LIMIT = 1024


def after_batches(learned: Learned, count: int, tokens: int) -> Learned:
    for _ in range(count):
        learned = after_success(learned, tokens, LIMIT)
    return learned


def test_a_batch_that_was_too_large_is_halved():
    assert after_failure(Learned(), 1000).tokens == 500
    assert after_failure(Learned(tokens=600), 300).tokens == 150


def test_a_batch_that_was_started_before_that_was_known_is_no_news():
    learned = after_failure(Learned(), 1000)
    assert after_failure(learned, 900) == learned


def test_batches_grow_by_an_eighth_after_many_full_ones():
    learned = after_batches(Learned(tokens=400), GROW_AFTER - 1, 390)
    assert learned.tokens == 400
    assert after_batches(learned, 1, 390).tokens == 450


def test_small_batches_prove_nothing_about_larger_ones():
    assert after_batches(Learned(tokens=400), 10 * GROW_AFTER, 299).tokens == 400


def test_growing_too_far_makes_the_next_growth_rarer():
    learned = after_failure(after_batches(Learned(tokens=400), GROW_AFTER, 400), 450)
    assert learned.tokens == 225
    assert after_batches(learned, GROW_AFTER, 225).tokens == 225
    assert after_batches(learned, 2 * GROW_AFTER, 225).tokens == 253


def test_halving_several_times_at_once_makes_it_no_rarer():
    learned = after_failure(after_failure(after_failure(Learned(), 1000), 500), 250)
    assert after_batches(learned, GROW_AFTER, 125).tokens == 140


def test_what_has_grown_to_the_limit_is_limited_no_more():
    assert after_batches(Learned(tokens=1000), GROW_AFTER, 1000).tokens is None


def test_a_death_with_a_batch_larger_than_any_that_ran_teaches_at_once():
    learned = after_batches(Learned(), 5, 500)
    assert after_death(learned, 800).tokens == 400


def test_a_death_with_a_batch_as_usual_teaches_only_if_it_happens_again():
    """A worker may be killed by hand, or by another program's hunger."""
    learned = after_death(after_batches(Learned(), 5, 900), 800)
    assert learned.tokens is None
    assert after_death(learned, 800).tokens == 400
    assert after_death(after_batches(learned, 1, 900), 800).tokens is None


class Memory:
    def __init__(self, known: Mapping[str, Learned], died: list[tuple[str, int]]) -> None:
        self.known = dict(known)
        self.died = died
        self.writes = 0

    def read(self) -> Mapping[str, Learned]:
        return self.known

    def deaths(self) -> list[tuple[str, int]]:
        return self.died

    def write(self, model: str, learned: Learned) -> None:
        self.known[model] = learned
        self.writes += 1

    def begin(self, model: str, tokens: int) -> None: ...

    def end(self) -> None: ...


def test_the_next_process_starts_with_what_the_last_one_learned():
    memory = Memory({"m": Learned(tokens=300), "gone": Learned(tokens=1)}, [("m", 300), ("gone", 7)])
    sizes = BatchSizes({"m": LIMIT, "other": LIMIT}, memory)
    assert (sizes.most("m"), sizes.most("other")) == (150, LIMIT)
    assert memory.known["m"].tokens == 150


def test_a_smaller_setting_goes_before_what_was_learned():
    assert BatchSizes({"m": 100}, Memory({"m": Learned(tokens=300)}, [])).most("m") == 100


def test_batches_as_usual_write_nothing():
    memory = Memory({}, [])
    sizes = BatchSizes({"m": LIMIT}, memory)
    for n in range(1000):
        sizes.note_ran("m", 900 + n % 100)
    assert memory.writes <= 1
