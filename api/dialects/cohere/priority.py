"""Cohere's priority of a request."""

from typing import Annotated

import msgspec

from api.work.terms import Terms
from jobs.job import LANES

Priority = Annotated[int, msgspec.Meta(ge=0, le=999)]
"""0 is the highest."""


def with_priority(terms: Terms, priority: int | None) -> Terms:
    """What is not of the highest priority waits in the next lower lane: after all that is."""
    if not priority:
        return terms
    lane = LANES[min(LANES.index(terms.options.lane) + 1, len(LANES) - 1)]
    return terms._replace(options=msgspec.structs.replace(terms.options, lane=lane))
