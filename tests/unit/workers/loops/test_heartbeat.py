"""What a worker says of itself, and when. The rest is tested with real workers."""

from unittest.mock import MagicMock

import pytest

from jobs.settings import Settings
from workers.loops.heartbeat import Heartbeat


@pytest.fixture
def fleet() -> MagicMock:
    fleet = MagicMock()
    fleet.register.return_value = None
    return fleet


@pytest.fixture
def queue() -> MagicMock:
    return MagicMock()


@pytest.fixture
def model_cache() -> MagicMock:
    """It loads a model, m."""
    model_cache = MagicMock()
    model_cache.runners, model_cache.load_progress = {}, ("m", 3, 0.2)
    model_cache.report.return_value = model_cache.unloadable.return_value = ()
    return model_cache


@pytest.fixture
def heartbeat(fleet: MagicMock, queue: MagicMock, model_cache: MagicMock) -> Heartbeat:
    in_flight = MagicMock()
    in_flight.__len__.return_value = 0
    worker, results, bridge, blobs = (MagicMock() for _ in range(4))
    return Heartbeat(worker, queue, fleet, in_flight, model_cache, results, bridge, blobs, Settings())


@pytest.mark.parametrize(
    ("after", "taken_back"), [(None, True), (("other", 0, 0.1), True), (("m", 4, 0.3), False)]
)
def test_a_load_that_ends_while_its_progress_is_noted_leaves_no_note(
    heartbeat: Heartbeat,
    fleet: MagicMock,
    model_cache: MagicMock,
    after: tuple[str, int, float] | None,
    *,
    taken_back: bool,
):
    def load_goes_on(*_: object) -> None:
        model_cache.load_progress = after

    fleet.note_progress.side_effect = load_goes_on
    heartbeat.announce()
    fleet.note_progress.assert_called_once_with("m", 0.2)
    assert fleet.end_load.called is taken_back


def test_whoever_sees_a_new_worker_can_ask_what_its_models_files_say(
    heartbeat: Heartbeat, fleet: MagicMock, queue: MagicMock
):
    queue.announce.side_effect = lambda *_: fleet.announce_details.assert_called_once()
    heartbeat.begin()
    queue.announce.assert_called_once()
