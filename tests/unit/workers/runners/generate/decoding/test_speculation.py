"""How much is proposed, and what is drawn ahead for it; answers with a draft are tested in integration."""

from workers.runners.generate.decoding.sampling import GREEDY, SeededSampler
from workers.runners.generate.decoding.speculation import LONGEST_REST, MAX_DEPTH, Depth, draws_of
from workers.runners.tokens.common_prefix import common_prefix_length


def test_more_is_proposed_while_all_is_right_and_nothing_after_much_was_wrong():
    depth = Depth()
    first = depth.next()
    assert 1 < first < MAX_DEPTH
    for _ in range(10):
        depth.learn(depth.next(), depth.next())
    assert depth.next() == MAX_DEPTH
    while depth.next():
        depth.learn(1, 0)
    assert [steps_to_try(depth, right=0) for _ in range(7)] == [15, 32, 64, 128, 256, 256, 256]
    assert steps_to_try(depth, right=1) == LONGEST_REST
    assert depth.next() == 1


def steps_to_try(depth: Depth, right: int) -> int:
    """Without a proposal; the one after them is right or not."""
    steps = 0
    while depth.next() == 0:
        steps += 1
    depth.learn(1, right)
    return steps


def test_what_follows_a_wrong_proposal_does_not_count():
    assert common_prefix_length([1, 2, 3], [1, 2, 3, 4]) == 3
    assert common_prefix_length([1, 2, 3], [1, 5, 3, 4]) == 1
    assert common_prefix_length([], [4]) == 0


def test_looking_ahead_leaves_a_sampler_where_it_is():
    sampler, other = SeededSampler(GREEDY, 4), SeededSampler(GREEDY, 4)
    draws = draws_of(sampler, 3)
    keys = [other.key() for _ in range(3)]
    assert [draw.key() for draw in draws] == keys
    assert draws[1].key() == keys[1]
    assert [sampler.key() for _ in range(3)] == keys
