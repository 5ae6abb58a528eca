"""What all tests of the queue share."""

import pytest

from jobs.process import cancelling


@pytest.fixture(autouse=True)
def _a_lost_cancel_costs_no_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py sends by asyncio.wait_for, which in Python 3.11 loses a cancel that comes while a connection is made:
    most queues here end just then.
    """
    monkeypatch.setattr(cancelling, "AGAIN_S", 0.02)
