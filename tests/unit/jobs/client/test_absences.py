from jobs.client.absences import Absences


def test_a_model_is_absent_from_when_it_is_needed_until_a_live_worker_serves_it():
    absences = Absences()
    absences.count(set(), starting=False, passed_s=100)
    assert absences.seconds("a") == 0  # nobody had asked

    absences.count({"b"}, starting=False, passed_s=1)
    absences.count(set(), starting=False, passed_s=2)
    assert absences.seconds("a") == 3

    absences.count({"a"}, starting=False, passed_s=1)
    assert absences.seconds("a") == 0


def test_time_in_which_a_worker_starts_does_not_count_and_does_not_forget():
    absences = Absences()
    absences.seconds("a")
    absences.count(set(), starting=False, passed_s=4)
    absences.count(set(), starting=True, passed_s=60)
    assert absences.seconds("a") == 4

    absences.count(set(), starting=False, passed_s=4)  # it died while it loaded
    assert absences.seconds("a") == 8
