"""A model without weights that writes its prompt again and again, in steps that take a while."""

from tests.chaos.plan import TEXT_MODEL
from tests.support.fake_generator import FakeGenerator

STEP_S = 0.02


def chaos_generator() -> FakeGenerator:
    """What it writes is order.greedy: an answer that goes on at a wrong place is found."""
    generator = FakeGenerator(TEXT_MODEL)
    generator.decoder.pause_s = STEP_S
    return generator
