import pytest

from jobs.errors import InternalError, InvalidInput
from workers.loops.result import next_delay_s


@pytest.mark.parametrize(("retries_left", "delay_s"), [(3, 1), (2, 5), (1, 30), (0, None)])
def test_delays_are_used_in_order(retries_left: int, delay_s: float | None):
    assert next_delay_s(InternalError(), retries_left, (1, 5, 30)) == delay_s


def test_without_delays_a_retry_is_immediate():
    assert next_delay_s(InternalError(), 1, ()) == 0


def test_invalid_input_is_not_tried_again():
    assert next_delay_s(InvalidInput(), 3, (1,)) is None
