"""How many points a shard has room for, dead ones included: by the files of qdrant-edge 0.9, which does not say."""

from pathlib import Path

_LENGTH_BYTES = 8


def slots(shard: Path) -> int:
    """Points for which the shard's segments have room: those that are there, and dead ones. 0: it cannot be told.

    Right as of the last flush.
    """
    return sum(_of_segment(segment) for segment in (shard / "segments").glob("*"))


def _of_segment(segment: Path) -> int:
    # Beside the flags of each kind of vectors lies the number of flags, one for each slot.
    lengths = [
        each.read_bytes()[:_LENGTH_BYTES] for each in segment.glob("vector_storage*/deleted/status.dat")
    ]
    return max((int.from_bytes(each, "little") for each in lengths), default=0)
