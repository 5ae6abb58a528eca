"""Requests without a model, where exactly one is served."""

import pytest
from msgspec.structs import replace

from api.requests.sole_model import model_or_sole, served_model
from jobs.errors import InvalidInput
from tests.support.memory_queue import MODEL, MemoryQueue

PULLED = replace(MODEL, id="org/pulled", max_tokens=0)
"""It is in a catalogue, and no worker serves it yet."""


async def test_a_model_that_no_worker_serves_yet_does_not_count():
    assert model_or_sole(None, [PULLED, MODEL], "embed") == MODEL.id
    assert await served_model(None, MemoryQueue(models=(PULLED, MODEL))) == MODEL


def test_without_another_it_is_the_one():
    assert model_or_sole(None, [PULLED], "embed") == PULLED.id


def test_of_two_that_are_served_one_must_be_named():
    with pytest.raises(InvalidInput, match=f"There is more than one: {MODEL.id}, other"):
        model_or_sole(None, [PULLED, MODEL, replace(MODEL, id="other")], "embed")
