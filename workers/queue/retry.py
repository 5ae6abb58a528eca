"""Whether and when a failed run is tried again. Pure."""

from collections.abc import Sequence

from jobs.errors import JobError


def next_delay_s(error: JobError, retries_left: int, delays_s: Sequence[float]) -> float | None:
    """Seconds until the next try, None for no further try.

    delays_s: one per retry, the last one repeated, as in RQ's Retry(max, interval) (rq/job.py: get_retry_interval).
    """
    if retries_left <= 0 or not error.retryable:
        return None
    if not delays_s:
        return 0.0
    return delays_s[max(len(delays_s) - retries_left, 0)]
