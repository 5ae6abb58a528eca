"""LlamaIndex's classes of OpenAI-like servers and of Ollama: chats, completions, tools, objects, embeddings."""

from collections.abc import Callable
from typing import Any

import ollama
import openai
import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from tests.conformance.clients import script
from tests.conformance.clients.script import CALL, CHAT, EMBEDDER, HELLO

Make = Callable[..., Any]


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


PERSON = Person(name="word", age=7)


def weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"sunny in {city}"


TOOL = FunctionTool.from_defaults(weather)


def of_openai(url: str, model: str = CHAT, **more: Any) -> Any:
    fields = {"is_chat_model": True, "is_function_calling_model": True, "max_retries": 0, **more}
    return OpenAILike(model=model, api_base=f"{url}/v1", api_key="unused", **fields)


def of_ollama(url: str, model: str = CHAT, **more: Any) -> Any:
    return Ollama(model=model, base_url=url, **more)


MAKES: list[Make] = [of_openai, of_ollama]
every_model = pytest.mark.parametrize("make", MAKES, ids=[make.__name__ for make in MAKES])
ASKED = [ChatMessage(role="user", content=HELLO)]


@every_model
async def test_a_chat_is_answered_and_streamed(url: str, make: Make):
    llm = make(url)
    assert llm.chat(ASKED).message.content == HELLO
    assert [part.delta for part in llm.stream_chat(ASKED) if part.delta] == ["one", " two", " three"]
    assert (await llm.achat(ASKED)).message.content == HELLO
    assert "".join([part.delta or "" async for part in await llm.astream_chat(ASKED)]) == HELLO


@pytest.mark.parametrize("is_chat_model", [True, False])
@every_model
def test_a_prompt_is_completed_and_streamed(url: str, make: Make, is_chat_model: bool):
    if make is of_ollama and not is_chat_model:
        return
    llm = make(url, is_chat_model=is_chat_model) if make is of_openai else make(url)
    assert llm.complete(HELLO).text == HELLO
    assert "".join(part.delta or "" for part in llm.stream_complete(HELLO)) == HELLO


@every_model
def test_a_tool_is_called(url: str, make: Make):
    llm = make(url)
    [call] = llm.get_tool_calls_from_response(llm.chat_with_tools([TOOL], user_msg=CALL))
    assert (call.tool_name, call.tool_kwargs) == ("weather", {"city": "word"})
    *_, last = llm.stream_chat_with_tools([TOOL], user_msg=CALL)
    assert [each.tool_kwargs for each in llm.get_tool_calls_from_response(last)] == [{"city": "word"}]
    assert llm.predict_and_call([TOOL], user_msg=CALL).response == "sunny in word"


@every_model
async def test_an_agent_calls_its_tool_and_tells_the_result(url: str, make: Make):
    agent = FunctionAgent(tools=[TOOL], llm=make(url), system_prompt="Be kind.")
    assert str(await agent.run(CALL)) == "sunny in word"


@every_model
async def test_an_answer_is_an_object(url: str, make: Make):
    prompt = PromptTemplate(CALL)
    assert make(url).structured_predict(Person, prompt) == PERSON
    assert make(url).as_structured_llm(Person).chat(ASKED).raw == PERSON
    *_, last = make(url).stream_structured_predict(Person, prompt)
    assert last.model_dump() == PERSON.model_dump()
    assert await make(url).astructured_predict(Person, prompt) == PERSON


def test_an_answer_is_an_object_by_its_format(url: str):
    llm = of_openai(url, should_use_structured_outputs=True)
    assert llm.structured_predict(Person, PromptTemplate(HELLO)) == PERSON


@every_model
def test_a_picture_is_seen(url: str, make: Make):
    blocks = [TextBlock(text="what?"), ImageBlock(image=script.PIXEL.encode(), image_mimetype="image/png")]
    found = make(url).chat([ChatMessage(role="user", blocks=blocks)]).message.content
    assert sorted(found.split()) == ["<image>", "what?"]


OPENAI_ERRORS = [
    (script.UNKNOWN, HELLO, openai.NotFoundError, "none"),
    (script.full(CHAT), HELLO, openai.RateLimitError, "queue is full"),
    (script.broken(CHAT), HELLO, openai.InternalServerError, "Internal error"),
    (CHAT, script.TOO_LONG, openai.BadRequestError, "maximum context length"),
]


@pytest.mark.parametrize(("model", "content", "kind", "said"), OPENAI_ERRORS)
@every_model
def test_an_error_is_the_clients_own(
    url: str, make: Make, model: str, content: str, kind: type[Exception], said: str
):
    asked = [ChatMessage(role="user", content=content)]
    with pytest.raises(kind if make is of_openai else ollama.ResponseError, match=said):
        make(url, model).chat(asked)
    with pytest.raises(kind if make is of_openai else ollama.ResponseError, match=said):
        list(make(url, model).stream_chat(asked))


def embedders(url: str, model: str = EMBEDDER) -> list[Any]:
    return [
        OpenAILikeEmbedding(model_name=model, api_base=f"{url}/v1", api_key="unused", max_retries=0),
        OllamaEmbedding(model_name=model, base_url=url),
    ]


async def test_texts_are_embedded(url: str):
    for embedder in embedders(url):
        vectors = embedder.get_text_embedding_batch(["one", "two"])
        assert [len(vector) for vector in vectors] == [script.SIZE] * 2
        assert embedder.get_query_embedding("one") == pytest.approx(vectors[0])
        assert (await embedder.aget_text_embedding("two")) == pytest.approx(vectors[1])


def test_errors_of_embeddings_are_the_clients_own(url: str):
    of_openai, of_ollama = embedders(url, script.UNKNOWN)
    with pytest.raises(openai.NotFoundError, match="none"):
        of_openai.get_text_embedding("one")
    with pytest.raises(ollama.ResponseError, match="none"):
        of_ollama.get_text_embedding("one")


@every_model
def test_a_question_is_answered_from_documents(url: str, make: Make):
    embedder = embedders(url)[0]
    index = VectorStoreIndex.from_documents(
        [Document(text="a cat"), Document(text="a dog")], embed_model=embedder
    )
    reply = index.as_query_engine(llm=make(url), streaming=False, similarity_top_k=1).query("a dog")
    assert reply.source_nodes[0].text == "a dog"
    assert "a dog" in reply.response
