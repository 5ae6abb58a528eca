"""Weights of a model that leaves: nothing keeps their memory."""

import gc
import weakref

from workers.runners.lazy_weights import release


class Decoder:
    """It and its model hold each other."""

    def __init__(self) -> None:
        self.model = self


def test_models_of_the_start_are_given_back_although_garbage_is_not_looked_for_among_them():
    made = Decoder()
    gone = weakref.ref(made)
    gc.freeze()
    try:
        del made
        gc.collect()
        assert gone() is not None
        release()
        assert gone() is None
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
