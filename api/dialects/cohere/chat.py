"""Cohere's chat, second version: the body as a job."""

from typing import Annotated, Any, Literal

import msgspec

from api.dialects.cohere.messages import Document, Turn, cohere_messages
from api.dialects.cohere.priority import Priority
from api.requests.answer_format import json_format
from api.requests.generation import (
    Count,
    MaxTokens,
    SamplingRequest,
    Seed,
    Share,
    sampling,
    stops,
    template_options,
)
from api.requests.images import ImageSource
from api.requests.parameters import NOTHING, NoEffect, Refused
from api.requests.tools import FunctionSpec, JsonObject, function_tools
from jobs.answer_format import JsonFormat
from jobs.errors import InvalidInput
from jobs.format_limits import check_format
from jobs.generate import Chat, GenerateJob, ToolChoice

_CHOICES: dict[str | None, ToolChoice] = {None: "auto", "REQUIRED": "required", "NONE": "none"}
_THINKS = {"enabled": True, "disabled": False}

_TEMPERATURE, _P = 0.3, 0.75
"""Cohere's defaults."""


class CohereTool(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["function"] = "function"
    function: FunctionSpec


class CitationOptions(msgspec.Struct, frozen=True, kw_only=True):
    mode: Annotated[
        Any,
        Refused(
            "answers cite nothing here. Send OFF, or leave it out, and ask for sources in words.",
            unless=(*NOTHING, "OFF", "DISABLED"),
        ),
    ] = None


class CohereFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """json_schema: None for any JSON object. schema: what it was called before."""

    type: Literal["text", "json_object"]
    json_schema: JsonObject | None = None
    schema: JsonObject | None = None


class CohereThinking(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["enabled", "disabled"]
    token_budget: Annotated[
        Any, Refused("a model thinks as long as its template has it. Send max_tokens.", unless=(None,))
    ] = None


_FIRST = Refused("it is of Cohere's first chat. Send messages.")
_NO_SEARCH = Refused("nothing is searched. Send documents.")


class FirstChat(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of Cohere's first chat, which LiteLLM sends to the second, too."""

    preamble: Annotated[Any, _FIRST] = None
    chat_history: Annotated[Any, _FIRST] = None
    conversation_id: Annotated[Any, _FIRST] = None
    tool_results: Annotated[Any, _FIRST] = None
    connectors: Annotated[Any, _NO_SEARCH] = None
    search_queries_only: Annotated[Any, _NO_SEARCH] = None
    prompt_truncation: Annotated[
        Any,
        Refused("a prompt that is too long is an error, and never cut.", unless=(*NOTHING, "OFF")),
    ] = None
    num_generations: Annotated[
        Any, Refused("there is one answer. Send the request again.", unless=(None, 1))
    ] = None
    generation_id: Annotated[Any, NoEffect("a reply's id is its job's")] = None
    response_id: Annotated[Any, NoEffect("a reply's id is its job's")] = None


class CohereChatRequest(FirstChat, frozen=True, kw_only=True):
    """The body of POST /v2/chat. Fields it does not name are ignored.

    documents: shown to the model as texts. strict_tools: every tool's arguments fulfil its schema.
    """

    model: str
    messages: tuple[Turn, ...]
    documents: tuple[Document, ...] | None = None
    tools: tuple[CohereTool, ...] | None = None
    strict_tools: bool | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    response_format: CohereFormat | None = None
    thinking: CohereThinking | None = None
    max_tokens: MaxTokens | None = None
    stop_sequences: tuple[str, ...] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    seed: Seed | None = None
    frequency_penalty: Share | None = None
    presence_penalty: Share | None = None
    k: Count | None = None
    p: Share | None = None
    logprobs: bool | None = None
    priority: Priority | None = None
    stream: bool | None = None
    citation_options: CitationOptions | None = None
    safety_mode: Annotated[
        Any,
        Refused(
            "nothing on safety is put into the prompt. Leave it out, and say in a message of the system what you want.",
            unless=(*NOTHING, "CONTEXTUAL", "OFF", "NONE"),
        ),
    ] = None
    """CONTEXTUAL is Cohere's default, and as if nothing was said."""


async def cohere_chat_job(asked: CohereChatRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    stop, form = stops(asked.stop_sequences, "stop_sequences"), _format(asked.response_format)
    choice = _CHOICES[asked.tool_choice]
    functions = [
        msgspec.structs.replace(each.function, strict=bool(asked.strict_tools)) for each in asked.tools or ()
    ]
    must_call = choice == "required"
    chat = Chat(
        messages=await cohere_messages(asked.messages, asked.documents or (), source),
        tools=function_tools(functions, must_call=must_call) if functions or must_call else (),
        tool_choice=choice,
        template_options=template_options(
            None, "thinking", enable_thinking=_THINKS[asked.thinking.type] if asked.thinking else None
        ),
    )
    return GenerateJob(
        model=asked.model,
        prompt=chat,
        sampling=sampling(
            SamplingRequest(
                temperature=_TEMPERATURE if asked.temperature is None else asked.temperature,
                top_p=_P if asked.p is None else asked.p,
                top_k=asked.k,
                seed=asked.seed,
                frequency_penalty=asked.frequency_penalty,
                presence_penalty=asked.presence_penalty,
            )
        ),
        max_tokens=asked.max_tokens,
        stop=stop,
        logprobs=0 if asked.logprobs else None,
        format=form,
        stream=bool(asked.stream),
    )


def _format(asked: CohereFormat | None) -> JsonFormat | None:
    if asked is None:
        return None
    if asked.json_schema is not None and asked.schema is not None:
        raise InvalidInput(
            "response_format: json_schema and schema contradict each other.", param="response_format"
        )
    schema = asked.schema if asked.json_schema is None else asked.json_schema
    if asked.type == "text":
        if schema is not None:
            raise InvalidInput(
                "response_format: a schema needs the type json_object.", param="response_format"
            )
        return None
    form = JsonFormat() if schema is None else json_format(schema, "response_format")
    check_format(form)
    return form
