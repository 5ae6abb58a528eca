"""The short fuzzing run: each operation's example and a few requests of each, valid and not."""

import pytest

from tests.fuzz.run import Report, fuzz
from tests.support.documented import Documented
from tests.unit.api.openapi.documented_api import DOCUMENT

SEED = "20260101"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run for all tests here; a failure prints it."""
    found = fuzz(
        tmp_path_factory.mktemp("fuzz"),
        *(
            "--phases",
            "examples,fuzzing",
            "--max-examples",
            "6",
            "--seed",
            SEED,
            "--generation-deterministic",
        ),
        timeout_s=500,
    )
    print(found)
    return found


def test_nothing_is_answered_in_a_way_that_is_not_documented_or_breaks_a_server(report: Report):
    assert not report.problems, str(report)


def test_every_operation_is_tried_and_all_work_is_done_at_least_once(report: Report):
    for endpoint in Documented(DOCUMENT).endpoints:
        found = report.replies[f"{endpoint.method} {endpoint.path}"]
        assert found
        if endpoint.example and endpoint.path != "/api/pull":  # nothing is asked of the model hub
            assert found[200] or found[202], f"{endpoint.path}: {found}"
