"""Weights of a model that leaves: nothing keeps their memory."""

import subprocess
import sys

CODE = """
import gc, weakref
from workers.runners.checkpoint.lazy_weights import release

class Decoder:
    def __init__(self):
        self.model = self  # it and its model hold each other

made = Decoder()
gone = weakref.ref(made)
gc.freeze()
del made
gc.collect()
print(gone() is None)
release()
print(gone() is None, gc.get_freeze_count() > 0)
"""


def test_models_of_the_start_are_given_back_although_garbage_is_not_looked_for_among_them():
    """In a process of its own: a search here would also find what other tests have left."""
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "True", "True"]
