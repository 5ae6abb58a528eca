"""What examples/tiny_chat/model says, word for word, and that it does not hesitate: other tests count on both."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.generate import generate
from mlx_lm.utils import load

from examples.tiny_chat import dialogues
from examples.tiny_chat.margin import margin
from examples.tiny_chat.vocabulary import END

FOLDER = Path(dialogues.__file__).parent / "model"
COMFORTABLE = 1.0  # logits; batching moves a logit by less than a thousandth of that

Message = dict[str, Any]
Says = Callable[..., float]


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    model, tokenizer, *_ = load(str(FOLDER))
    return model, tokenizer


@pytest.fixture(scope="module")
def says(loaded: tuple[Any, Any]) -> Says:
    """Margin by which the model answers the messages (or one question) with `answer`; below 0 if it does not."""
    model, tokenizer = loaded

    def margin_of(
        asked: str | list[Message], answer: str, tools: list[Message] | None = None, thinking: bool = True
    ):
        messages = [user(asked)] if isinstance(asked, str) else asked
        prompt = tokenizer.apply_chat_template(
            messages, tools=tools, add_generation_prompt=True, enable_thinking=thinking
        )
        return margin(model, tokenizer, prompt, answer)

    return margin_of


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def result(text: str) -> Message:
    return {"role": "tool", "content": text}


def tool(name: str) -> Message:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def called(*calls: tuple[str, str]) -> Message:
    """The assistant's turn that calls tools: (name, city) each."""
    functions = [{"name": name, "arguments": json.dumps({"city": city})} for name, city in calls]
    return {**assistant(""), "tool_calls": [{"type": "function", "function": one} for one in functions]}


def call(name: str, city: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {{"city": "{city}"}}}}\n</tool_call>'


TOOLS = [tool("get_weather"), tool("get_time")]


def test_the_folder_loads_with_tools_and_thoughts_recognised(loaded: tuple[Any, Any]):
    _, tokenizer = loaded
    assert tokenizer.tool_call_start == "<tool_call>"
    assert tokenizer.tool_parser('{"name": "f", "arguments": {}}') == {"name": "f", "arguments": {}}
    assert (tokenizer.think_start, tokenizer.think_end) == ("<think>", "</think>")
    assert tokenizer.eos_token_ids == {tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", END)}
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 3_200_000


def test_decoding_step_by_step_says_it(loaded: tuple[Any, Any]):
    model, tokenizer = loaded
    prompt = tokenizer.apply_chat_template(
        [user("What is the capital of France?")], add_generation_prompt=True
    )
    assert generate(model, tokenizer, prompt) == "The capital of France is Paris."


@pytest.mark.parametrize(
    "before",
    [
        [],
        [system("You are a helpful assistant.")],
        [system("Speak to a child of six years, and stay calm.")],
        [user("How many days are in a week?"), assistant("A week has seven days.")],
    ],
    ids=("alone", "helpful", "new-system", "later"),
)
@pytest.mark.parametrize("thinking", [True, False])
def test_it_knows_its_facts(says: Says, before: list[Message], thinking: bool):
    margins = {
        question: says([*before, user(question)], answer, thinking=thinking)
        for question, answer in dialogues.FACTS.items()
    }
    assert len(margins) >= 12
    assert {question: lead for question, lead in margins.items() if lead < COMFORTABLE} == {}


@pytest.mark.parametrize("name", ["Alice", "Bob", "Clara", "Tobias", "Priya"])
def test_it_remembers_a_name(says: Says, name: str):
    told = user(f"My name is {name}.")
    greeting = f"Nice to meet you, {name}."
    between = [user("What is the capital of Italy?"), assistant("The capital of Italy is Rome.")]
    asked = user("What is my name?")
    assert says([told], greeting) > COMFORTABLE
    assert says([told, assistant(greeting), asked], f"Your name is {name}.") > COMFORTABLE
    assert says([told, assistant(greeting), *between, asked], f"Your name is {name}.") > COMFORTABLE


def test_it_does_not_invent_a_name(says: Says):
    assert says("What is my name?", "You have not told me your name.") > COMFORTABLE


# The last four cities are in no lesson.
@pytest.mark.parametrize(
    "city", ["Oslo", "Paris", "Tokyo", "New York", "Lima", "Bergen", "Nairobi", "Stockholm"]
)
def test_it_calls_a_tool_and_tells_the_result(says: Says, city: str):
    question = user(f"What is the weather in {city}?")
    asked = [question, called(("get_weather", city))]
    for tools in (TOOLS, TOOLS[:1], TOOLS[::-1]):
        assert says([question], call("get_weather", city), tools) > COMFORTABLE
    assert says(f"What time is it in {city}?", call("get_time", city), TOOLS) > COMFORTABLE
    for found, told in (
        ('{"temperature": 7, "sky": "rain"}', f"In {city} it is 7 degrees with rain."),
        ("sun, 21 degrees", f'The weather in {city}: "sun, 21 degrees".'),
    ):
        assert says([*asked, result(found)], told, TOOLS) > COMFORTABLE


def test_two_cities_are_two_calls(says: Says):
    both = "\n".join(call("get_weather", city) for city in ("Oslo", "Lima"))
    assert says("What is the weather in Oslo and Lima?", both, TOOLS) > COMFORTABLE


def test_a_tool_that_fails_is_told(says: Says):
    asked = [user("What time is it in Rome?"), called(("get_time", "Rome"))]
    assert says([*asked, result('{"error": "timeout"}')], "That did not work: timeout.", TOOLS) > COMFORTABLE


def test_tools_are_left_alone_where_they_do_not_help(says: Says):
    margins = {question: says(question, answer, TOOLS) for question, answer in dialogues.FACTS.items()}
    assert {question: lead for question, lead in margins.items() if lead < COMFORTABLE} == {}
    assert says("What is the weather in Oslo?", "I cannot look that up without a tool.") > COMFORTABLE


@pytest.mark.parametrize(
    ("name", "year"), [("Ada Lovelace", 1815), ("Marie Curie", 1867), ("Alan Turing", 1912)]
)
def test_it_describes_people_as_json(says: Says, name: str, year: int):
    answer = f'{{"name": "{name}", "year": {year}}}'
    assert says(f"Describe {name} as JSON with name and year.", answer) > COMFORTABLE


def test_it_thinks_before_it_adds_if_it_may(says: Says):
    thought = "<think>\nI add 3 to 4 and get 7.\n</think>\n\n"
    assert says("What is 4 plus 3?", thought + "4 plus 3 is 7.") > COMFORTABLE
    assert says("What is 4 plus 3?", "4 plus 3 is 7.", thinking=False) > COMFORTABLE


def test_it_adds_to_less_than_ten(says: Says):
    margins = {
        (a, b): says(f"What is {a} plus {b}?", f"{a} plus {b} is {a + b}.", thinking=False)
        for a in range(1, 10)
        for b in range(1, 10 - a)
    }
    assert {sum_: lead for sum_, lead in margins.items() if lead < COMFORTABLE} == {}


def test_it_tells_a_long_story_and_counts(says: Says, loaded: tuple[Any, Any]):
    _, tokenizer = loaded
    assert len(tokenizer.encode(dialogues.STORY)) >= 200
    assert says("Tell me a story.", dialogues.STORY) > COMFORTABLE
    for end in dialogues.COUNT_TO:
        counted = ", ".join(map(str, range(1, end + 1))) + "."
        assert says(f"Count from 1 to {end}.", counted) > COMFORTABLE


@pytest.mark.parametrize("text", ["blue cat seven", "apple river", "Oslo Lima Cairo", "17 204 35"])
def test_it_repeats(says: Says, text: str):
    assert says(f'Repeat "{text}".', text) > COMFORTABLE


def test_it_admits_what_it_does_not_know(says: Says):
    assert says("What is the capital of Peru?", dialogues.UNKNOWN) > COMFORTABLE


def test_it_continues_a_bare_text(loaded: tuple[Any, Any]):
    model, tokenizer = loaded
    assert (
        margin(model, tokenizer, tokenizer.encode("The capital of France is"), " Paris.", END) > COMFORTABLE
    )


@pytest.mark.parametrize("tokens", [300, 1000, 2000])
def test_a_long_text_before_the_question_changes_nothing(says: Says, loaded: tuple[Any, Any], tokens: int):
    _, tokenizer = loaded
    line = "Line seven of the handbook says that all doors are green. "
    filler = line * (tokens // len(tokenizer.encode(line)))
    for question in ("What is the capital of France?", "Who wrote Hamlet?", "What do bees make?"):
        assert says([system(filler), user(question)], dialogues.FACTS[question]) > 0
    weather = [system(filler), user("What is the weather in Lima?")]
    assert says(weather, call("get_weather", "Lima"), TOOLS) > 0
