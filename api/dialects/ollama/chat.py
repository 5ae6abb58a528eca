"""Ollama's chat body, turned into a job."""

import msgspec

from api.dialects.ollama.messages import OllamaMessage, ollama_messages
from api.dialects.ollama.options import think_options
from api.dialects.ollama.request import OllamaRequest, load_job, ollama_job
from api.requests.images import ImageSource
from api.requests.tools import FunctionSpec, function_tools
from jobs.generate import Chat, GenerateJob


class OllamaTool(msgspec.Struct, frozen=True, kw_only=True):
    function: FunctionSpec


class OllamaChatRequest(OllamaRequest, frozen=True, kw_only=True):
    """The body of POST /api/chat. Fields it does not name are ignored. No messages: the model is only loaded."""

    messages: tuple[OllamaMessage, ...] | None = None
    tools: tuple[OllamaTool, ...] | None = None


async def ollama_chat_job(asked: OllamaChatRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    if not asked.messages:
        return load_job(asked)
    tools = function_tools([each.function for each in asked.tools or ()])
    chat = Chat((), tools=tools, template_options=think_options(asked.think))
    job = ollama_job(asked, chat)
    # Images last: nothing is fetched for a request that is refused.
    messages = await ollama_messages(asked.messages, source)
    return msgspec.structs.replace(job, prompt=msgspec.structs.replace(chat, messages=messages))
