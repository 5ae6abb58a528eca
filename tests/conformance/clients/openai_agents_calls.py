"""OpenAI's agents, over chat completions."""

import openai
import pytest
from agents import (
    Agent,
    AgentOutputSchema,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from pydantic import BaseModel

from tests.conformance.clients import script
from tests.conformance.clients.script import CALL, CHAT, HELLO


class Person(BaseModel):
    name: str
    age: int


class Note(BaseModel):
    """Strict mode has no free keys."""

    tags: dict[str, str]


@function_tool
def weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"sunny in {city}"


set_tracing_disabled(True)


def model(url: str, name: str = CHAT) -> OpenAIChatCompletionsModel:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    return OpenAIChatCompletionsModel(model=name, openai_client=client)


async def test_an_agent_answers(url: str):
    agent = Agent(
        name="a", instructions="Be kind.", model=model(url), model_settings=ModelSettings(include_usage=True)
    )
    result = await Runner.run(agent, HELLO)
    assert result.final_output == HELLO
    assert result.context_wrapper.usage.output_tokens == 3


async def test_an_agent_calls_its_tool_and_tells_the_result(url: str):
    agent = Agent(name="a", model=model(url), tools=[weather])
    result = await Runner.run(agent, CALL)
    assert result.final_output == "sunny in word"
    assert [item.type for item in result.new_items] == [
        "tool_call_item",
        "tool_call_output_item",
        "message_output_item",
    ]
    again = await Runner.run(agent, [*result.to_input_list(), {"role": "user", "content": HELLO}])
    assert again.final_output == HELLO


async def test_an_agent_streams(url: str):
    agent = Agent(name="a", model=model(url), tools=[weather])
    result = Runner.run_streamed(agent, CALL)
    deltas, items = [], []
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            deltas.append(event.data.delta)
        elif event.type == "run_item_stream_event":
            items.append(event.item.type)
    assert deltas == ["sunny", " in", " word"]
    assert result.final_output == "sunny in word"
    assert items == ["tool_call_item", "tool_call_output_item", "message_output_item"]


async def test_a_tool_is_forced(url: str):
    agent = Agent(
        name="a", model=model(url), tools=[weather], model_settings=ModelSettings(tool_choice="required")
    )
    assert (await Runner.run(agent, HELLO)).final_output == "sunny in word"


@pytest.mark.parametrize(
    ("output_type", "expected"),
    [
        (Person, Person(name="word", age=7)),
        (list[Person], [Person(name="word", age=7)]),
        (AgentOutputSchema(Note, strict_json_schema=False), Note(tags={})),
    ],
)
async def test_an_answer_is_an_object(url: str, output_type: object, expected: object):
    agent = Agent(name="a", model=model(url), output_type=output_type)
    assert (await Runner.run(agent, HELLO)).final_output == expected
    streamed = Runner.run_streamed(agent, HELLO)
    async for _ in streamed.stream_events():
        pass
    assert streamed.final_output == expected


async def test_a_tool_is_called_before_the_object_is_made(url: str):
    agent = Agent(name="a", model=model(url), tools=[weather], output_type=Person)
    result = await Runner.run(agent, CALL)
    assert result.final_output == Person(name="word", age=7)
    assert [item.type for item in result.new_items][:2] == ["tool_call_item", "tool_call_output_item"]


async def test_an_agent_hands_over_to_another(url: str):
    other = Agent(name="other", model=model(url))
    result = await Runner.run(Agent(name="first", model=model(url), handoffs=[other]), CALL)
    assert result.last_agent.name == "other"


@pytest.mark.parametrize(
    ("name", "content", "kind", "said"),
    [
        (script.UNKNOWN, HELLO, openai.NotFoundError, "none"),
        (script.full(CHAT), HELLO, openai.RateLimitError, "queue is full"),
        (script.broken(CHAT), HELLO, openai.InternalServerError, "Internal error"),
        (CHAT, script.TOO_LONG, openai.BadRequestError, "maximum context length"),
    ],
)
async def test_an_error_is_openais(url: str, name: str, content: str, kind: type[Exception], said: str):
    agent = Agent(name="a", model=model(url, name))
    with pytest.raises(kind, match=said):
        await Runner.run(agent, content)
    with pytest.raises(kind, match=said):
        async for _ in Runner.run_streamed(agent, content).stream_events():
            pass
