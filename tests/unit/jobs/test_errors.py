import pytest

from jobs.errors import Failure, InternalError, JobError, Overloaded


def leaves(cls: type[JobError]) -> list[type[JobError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in leaves(child))]


ENDS_OF_JOBS = [cls for cls in leaves(JobError) if cls.__module__ == JobError.__module__]
"""Other errors are of searches and ingests: no job ends with them."""


@pytest.mark.parametrize("cls", ENDS_OF_JOBS)
def test_every_error_survives_the_trip_through_redis(cls: type[JobError]):
    error = cls("what happened", param="input").failure().error()
    assert type(error) is cls
    assert (error.message, error.param) == ("what happened", "input")


def test_codes_are_unique():
    codes = [cls.code for cls in leaves(JobError)]
    assert len(codes) == len(set(codes))


def test_the_docstring_is_the_default_message():
    assert Overloaded().message == "The queue is full. Try again later."


def test_an_unknown_code_becomes_an_internal_error():
    assert isinstance(Failure(code="from_the_future", message="?").error(), InternalError)
