"""This process as one of the next version of records."""

from jobs.store import record


def become_later_version() -> None:
    """From now on, in this process: it writes jobs that processes of the present version cannot read, of every kind."""
    record.VERSION += 1
    record.READ_SINCE.clear()
