"""What a worker says of itself while a model is loaded. The rest is tested with real workers."""

from unittest.mock import MagicMock

import pytest

from jobs.settings import Settings
from workers.loops.heartbeat import Heartbeat


@pytest.mark.parametrize(
    ("after", "taken_back"), [(None, True), (("other", 0, 0.1), True), (("m", 4, 0.3), False)]
)
def test_a_load_that_ends_while_its_progress_is_noted_leaves_no_note(
    after: tuple[str, int, float] | None, *, taken_back: bool
):
    fleet, model_cache, in_flight = MagicMock(), MagicMock(), MagicMock()
    fleet.register.return_value = None
    in_flight.__len__.return_value = 0
    model_cache.runners, model_cache.load_progress = {}, ("m", 3, 0.2)
    model_cache.report.return_value = model_cache.unloadable.return_value = ()

    def load_goes_on(*_: object) -> None:
        model_cache.load_progress = after

    fleet.note_progress.side_effect = load_goes_on
    rest = [MagicMock() for _ in range(4)]
    heartbeat = Heartbeat(
        rest[0], rest[1], fleet, in_flight, model_cache, rest[2], rest[3], MagicMock(), Settings()
    )

    heartbeat.announce()
    fleet.note_progress.assert_called_once_with("m", 0.2)
    assert fleet.end_load.called is taken_back
