"""Python's garbage collector, which stops every thread of a process while it searches."""

import gc


def exempt_what_is_there() -> None:
    """Objects that are alive now are left out of later searches. Libraries and models are made of so many that a
    search through them takes 70 to 90 ms. Called again, this first frees those of them that have become garbage.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
