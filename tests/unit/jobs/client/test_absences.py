from jobs.client.absences import count_absences


def test_a_model_is_absent_from_when_it_is_needed_until_a_live_worker_serves_it():
    absent_s: dict[str, float] = {}
    count_absences(absent_s, set(), starting=False, passed_s=100)
    assert absent_s == {}  # nobody had asked

    absent_s["a"] = 0.0
    count_absences(absent_s, {"b"}, starting=False, passed_s=1)
    count_absences(absent_s, set(), starting=False, passed_s=2)
    assert absent_s == {"a": 3}

    count_absences(absent_s, {"a"}, starting=False, passed_s=1)
    assert absent_s == {"a": 0}


def test_time_in_which_a_worker_starts_does_not_count_and_does_not_forget():
    absent_s = {"a": 0.0}
    count_absences(absent_s, set(), starting=False, passed_s=4)
    count_absences(absent_s, set(), starting=True, passed_s=60)
    assert absent_s == {"a": 4}

    count_absences(absent_s, set(), starting=False, passed_s=4)  # it died while it loaded
    assert absent_s == {"a": 8}
