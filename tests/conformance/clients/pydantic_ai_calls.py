"""pydantic-ai's models of OpenAI, Ollama, Anthropic and Cohere, and its embedders."""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anthropic
import cohere
import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, Embedder, ModelRetry, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.embeddings.cohere import CohereEmbeddingModel
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.cohere import CohereModel
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.cohere import CohereProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.conformance.clients import script
from tests.conformance.clients.script import CALL, CHAT, EMBEDDER, HELLO

Make = Callable[..., Any]


class Pet(BaseModel):
    kind: str


class Person(BaseModel):
    name: str
    age: int
    tags: set[str]
    price: Decimal
    pet: Pet | None


PERSON = {"name": "word", "age": 7, "tags": {"word"}, "pet": {"kind": "word"}}


def openai_client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


def of_openai(url: str, model: str = CHAT) -> Any:
    return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=openai_client(url)))


def of_ollama(url: str, model: str = CHAT) -> Any:
    return OllamaModel(model, provider=OllamaProvider(openai_client=openai_client(url)))


def of_anthropic(url: str, model: str = CHAT) -> Any:
    client = anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)
    profile = ModelProfile(supports_json_schema_output=True)  # told by the names of Anthropic's own models
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client), profile=profile)


def cohere_provider(url: str) -> CohereProvider:
    return CohereProvider(cohere_client=cohere.AsyncClientV2("unused", base_url=url, max_retries=0))


def of_cohere(url: str, model: str = CHAT) -> Any:
    return CohereModel(model, provider=cohere_provider(url))


def ids(makes: list[Make]) -> list[str]:
    return [make.__name__ for make in makes]


RICH: list[Make] = [of_openai, of_ollama, of_anthropic]
MAKES: list[Make] = [*RICH, of_cohere]
every_model = pytest.mark.parametrize("make", MAKES, ids=ids(MAKES))
rich_models = pytest.mark.parametrize("make", RICH, ids=ids(RICH))
"""All but Cohere's, which pydantic-ai neither streams nor asks for JSON nor shows images."""


def agent_of(model: Any, **more: Any) -> Agent:
    agent = Agent(model, **more)

    @agent.tool_plain
    def weather(city: str) -> str:
        """Tells the weather in a city."""
        return f"sunny in {city}"

    return agent


@every_model
async def test_an_agent_answers_and_counts(url: str, make: Make):
    result = await Agent(make(url), instructions="be kind").run(HELLO)
    assert result.output == HELLO
    assert (result.usage.input_tokens, result.usage.output_tokens) == (5, 3)


@rich_models
async def test_an_agent_streams(url: str, make: Make):
    async with Agent(make(url)).run_stream(HELLO) as result:
        parts = [part async for part in result.stream_text(delta=True, debounce_by=None)]
    assert parts == ["one", " two", " three"]


@every_model
async def test_a_tool_is_called_and_its_result_is_told(url: str, make: Make):
    result = await agent_of(make(url)).run(CALL)
    assert result.output == "sunny in word"
    again = await agent_of(make(url)).run(HELLO, message_history=result.all_messages())
    assert again.output == HELLO


@rich_models
async def test_a_tool_is_called_in_a_stream(url: str, make: Make):
    async with agent_of(make(url)).run_stream(CALL) as result:
        assert await result.get_output() == "sunny in word"


OUTPUTS = {"tool": ToolOutput, "native": NativeOutput, "prompted": PromptedOutput}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("output", ["tool", "native"])
@rich_models
async def test_an_answer_is_an_object(url: str, make: Make, output: str, stream: bool):
    agent = Agent(make(url), output_type=OUTPUTS[output](Person))
    if stream:
        async with agent.run_stream(HELLO) as result:
            found = await result.get_output()
    else:
        found = (await agent.run(HELLO)).output
    assert found.model_dump(exclude={"price"}) == PERSON


@every_model
async def test_a_tool_is_called_before_the_object_is_made(url: str, make: Make):
    result = await agent_of(make(url), output_type=Person).run(CALL)
    assert result.output.model_dump(exclude={"price"}) == PERSON
    parts = [part for message in result.all_messages() for part in message.parts]
    assert [part.tool_name for part in parts if part.part_kind == "tool-call"] == ["weather", "final_result"]


@rich_models
async def test_a_tool_is_called_before_the_object_is_written(url: str, make: Make):
    result = await agent_of(make(url), output_type=NativeOutput(Person)).run(CALL)
    assert result.output.model_dump(exclude={"price"}) == PERSON
    parts = [part for message in result.all_messages() for part in message.parts]
    assert [part.tool_name for part in parts if part.part_kind == "tool-call"] == ["weather"]


@every_model
async def test_a_tool_that_fails_is_told_so(url: str, make: Make):
    agent = Agent(make(url), retries=1)

    @agent.tool_plain
    def weather(city: str) -> str:
        """Tells the weather in a city."""
        raise ModelRetry("not there")

    result = await agent.run(CALL)
    assert "not there" in result.output


@rich_models
async def test_a_picture_is_seen(url: str, make: Make):
    picture = BinaryContent(base64.b64decode(script.PIXEL), media_type="image/png")
    result = await Agent(make(url)).run(["what?", picture])
    assert sorted(result.output.split()) == ["<image>", "what?"]


@pytest.mark.parametrize(
    ("model", "content", "status", "said"),
    [
        (script.UNKNOWN, HELLO, 404, "none"),
        (script.full(CHAT), HELLO, 429, "queue is full"),
        (script.broken(CHAT), HELLO, 500, "Internal error"),
        (CHAT, script.TOO_LONG, 400, "maximum context length"),
    ],
)
@every_model
async def test_an_error_has_its_status_and_its_message(
    url: str, make: Make, model: str, content: str, status: int, said: str
):
    with pytest.raises(ModelHTTPError, match=said) as raised:
        await Agent(make(url, model)).run(content)
    assert raised.value.status_code == status


def embedders(url: str, model: str = EMBEDDER) -> list[Embedder]:
    return [
        Embedder(OpenAIEmbeddingModel(model, provider=OpenAIProvider(openai_client=openai_client(url)))),
        Embedder(CohereEmbeddingModel(model, provider=cohere_provider(url))),
    ]


async def test_texts_are_embedded(url: str):
    for embedder in embedders(url):
        found = await embedder.embed_documents(["one", "two"])
        assert [len(vector) for vector in found.embeddings] == [script.SIZE] * 2
        assert found.usage.input_tokens == 2


async def test_errors_of_embeddings_have_their_status(url: str):
    for embedder in embedders(url, script.UNKNOWN):
        with pytest.raises(ModelHTTPError, match="none") as raised:
            await embedder.embed_query("one")
        assert raised.value.status_code == 404
