"""Python's search for garbage, which holds up every thread of a process."""

import gc


def exempt_what_is_there() -> None:
    """What is alive now is not looked at in later searches: among all that libraries and models are made of, one takes
    70 to 90 ms. Called again, it frees what has become garbage among it.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
