from workers.scheduling.batch_shapes import COUNTS, rounded_length


def test_rounding_never_shortens_and_wastes_little():
    for tokens in range(1, 9000):
        padded = rounded_length(tokens)
        assert tokens <= padded <= max(tokens + 7, tokens * 1.126)


def test_there_are_few_lengths_to_plan_for():
    assert len({rounded_length(tokens) for tokens in range(1, 8193)}) < 80


def test_counts_start_at_one_and_ascend():
    assert COUNTS[0] == 1
    assert list(COUNTS) == sorted(set(COUNTS))
