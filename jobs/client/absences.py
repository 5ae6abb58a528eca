"""How long models have been without a worker. Pure."""

from collections.abc import Collection


def count_absences(
    absent_s: dict[str, float], live: Collection[str], *, starting: bool, passed_s: float
) -> None:
    """Brings the seconds of each model up to date, in place. They are 0 while a live worker serves the model.

    live: the models that live workers serve. passed_s: since the last count. Time in which a worker starts does not
    count, because a worker loads its models first and announces them only then.
    """
    for model, seconds in absent_s.items():
        if model in live:
            absent_s[model] = 0.0
        elif not starting:
            absent_s[model] = seconds + passed_s
