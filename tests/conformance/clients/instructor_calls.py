"""instructor over the clients of OpenAI and Anthropic, and by its names of providers."""

from collections.abc import Callable, Iterable
from typing import Any

import anthropic
import instructor
import openai
import pytest
from instructor.core.exceptions import InstructorRetryException
from pydantic import BaseModel

from tests.conformance.clients import script
from tests.conformance.clients.script import CALL, CHAT


class Pet(BaseModel):
    kind: str
    age: int | None


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int
    height: float
    pets: list[Pet]


PERSON = {"name": "word", "age": 7, "height": 1.5, "pets": [{"kind": "word", "age": 7}]}
ASKED: dict[str, Any] = {
    "model": CHAT,
    "messages": [{"role": "user", "content": CALL}],
    "max_retries": 0,
}


def dumped(found: BaseModel) -> dict[str, Any]:
    """instructor's objects are of classes of its own."""
    return found.model_dump()


def of_openai(url: str, mode: instructor.Mode) -> Any:
    return instructor.from_openai(
        openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0), mode=mode
    )


def of_anthropic(url: str, mode: instructor.Mode) -> Any:
    return instructor.from_anthropic(
        anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0), mode=mode, max_tokens=500
    )


MODES: list[tuple[Callable[[str, instructor.Mode], Any], instructor.Mode]] = [
    (of_openai, instructor.Mode.TOOLS),
    (of_openai, instructor.Mode.TOOLS_STRICT),
    (of_openai, instructor.Mode.JSON_SCHEMA),
    (of_anthropic, instructor.Mode.ANTHROPIC_TOOLS),
]
every_mode = pytest.mark.parametrize(
    ("make", "mode"), MODES, ids=[f"{make.__name__}-{mode.value}" for make, mode in MODES]
)


@every_mode
def test_an_answer_is_an_object(url: str, make: Callable[..., Any], mode: instructor.Mode):
    assert dumped(make(url, mode).create(response_model=Person, **ASKED)) == PERSON


@every_mode
def test_an_answer_is_streamed_as_it_grows(url: str, make: Callable[..., Any], mode: instructor.Mode):
    parts = list(make(url, mode).create_partial(response_model=Person, **ASKED))
    assert dumped(parts[-1]) == PERSON


@every_mode
def test_a_list_of_objects_comes_one_by_one(url: str, make: Callable[..., Any], mode: instructor.Mode):
    found = make(url, mode).create_iterable(response_model=Pet, **ASKED)
    assert [dumped(pet) for pet in found] == PERSON["pets"]


@every_mode
def test_the_reply_itself_comes_along(url: str, make: Callable[..., Any], mode: instructor.Mode):
    found, reply = make(url, mode).create_with_completion(response_model=Person, **ASKED)
    assert dumped(found) == PERSON
    assert reply.model == CHAT and reply.usage


async def test_the_asynchronous_client_gets_the_same(url: str):
    client = instructor.from_openai(openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused"))
    assert dumped(await client.create(response_model=Person, **ASKED)) == PERSON


def test_ollama_by_its_name(url: str):
    client = instructor.from_provider(f"ollama/{CHAT}", base_url=f"{url}/v1", mode=instructor.Mode.TOOLS)
    asked = {name: value for name, value in ASKED.items() if name != "model"}
    assert dumped(client.create(response_model=Person, **asked)) == PERSON


CAUSES = {
    "of_openai": (openai.NotFoundError, openai.RateLimitError),
    "of_anthropic": (anthropic.NotFoundError, anthropic.RateLimitError),
}


@every_mode
def test_an_error_keeps_the_clients_own(url: str, make: Callable[..., Any], mode: instructor.Mode):
    unknown, full = CAUSES[make.__name__]
    for model, kind, said in ((script.UNKNOWN, unknown, "none"), (script.full(CHAT), full, "queue is full")):
        with pytest.raises((InstructorRetryException, kind), match=said) as raised:
            make(url, mode).create(response_model=Person, **{**ASKED, "model": model})
        assert kind in [type(each) for each in causes(raised.value)]


def causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        for attempt in getattr(error, "failed_attempts", None) or ():
            yield attempt.exception
        error = error.__cause__ or error.__context__
