"""vLLM's /tokenize and /detokenize, in and out."""

import msgspec

from api.dialects.openai.chat import ChatTool
from api.dialects.openai.messages import ChatMessage, chat_messages
from api.replies.tokens import ids_of, texts_of, tokenized_texts
from api.requests.generation import template_options
from api.requests.images import ImageSource
from api.requests.inputs import TokenId
from api.requests.sole_model import served_model
from api.requests.tools import JsonObject, function_tools
from api.requests.vllm.refusals import ChatTemplate, MediaIoKwargs, MmProcessorKwargs
from api.work.queue import Queue
from jobs.errors import InvalidInput
from jobs.generate import Chat
from jobs.job import Result
from jobs.models import ModelInfo
from jobs.tokenize import DetokenizeJob, TokenizeJob


class TokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /tokenize with a `prompt`, or with the `messages` of a chat. Others are ignored.

    add_special_tokens: unless it is false a prompt gets those that the tokenizer puts around every text; a chat gets
    them only if it is true, because its template writes them. The fields below it are of chats.
    """

    model: str | None = None
    prompt: str | None = None
    messages: tuple[ChatMessage, ...] | None = None
    return_token_strs: bool | None = None
    add_special_tokens: bool | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: JsonObject | None = None
    tools: tuple[ChatTool, ...] | None = None
    chat_template: ChatTemplate = None
    media_io_kwargs: MediaIoKwargs = None
    mm_processor_kwargs: MmProcessorKwargs = None


class TokenizeReply(msgspec.Struct, frozen=True, kw_only=True):
    """max_model_len: tokens that the model reads. token_strs: as the vocabulary has them, where they are asked for."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class DetokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /detokenize, of vLLM's clients and of llama.cpp's."""

    tokens: tuple[TokenId, ...]
    model: str | None = None


class DetokenizeReply(msgspec.Struct, frozen=True, kw_only=True):
    """The same text under the names that vLLM (prompt) and llama.cpp (content) give it: both ask for it alike."""

    prompt: str
    content: str


async def tokenize_job(
    asked: TokenizeRequest, queue: Queue, source: ImageSource | None
) -> tuple[TokenizeJob, ModelInfo]:
    """And its model. Fetches a chat's images. Raises InvalidInput naming the field, and what `served_model` raises."""
    info = await served_model(asked.model, queue)
    detailed = bool(asked.return_token_strs)
    if asked.messages is None:
        if asked.prompt is None:
            raise InvalidInput("Send prompt, a text, or messages, those of a chat.", param="prompt")
        special = asked.add_special_tokens is not False
        text = (asked.prompt,)
        return TokenizeJob(info.id, info.task, text, add_special_tokens=special, detailed=detailed), info
    if asked.prompt is not None:
        raise InvalidInput("prompt and messages exclude each other.", param="messages")
    if asked.continue_final_message and asked.add_generation_prompt:
        raise InvalidInput(
            "continue_final_message and add_generation_prompt exclude each other.",
            param="continue_final_message",
        )
    chat = Chat(
        messages=await chat_messages(asked.messages, source),
        tools=function_tools([each.function for each in asked.tools or ()]),
        template_options=template_options(asked.chat_template_kwargs, "chat_template_kwargs"),
        continue_final=bool(asked.continue_final_message),
        generation_prompt=asked.add_generation_prompt is not False,
        special_tokens=bool(asked.add_special_tokens),
    )
    return TokenizeJob(info.id, info.task, chat=chat, detailed=detailed), info


def encode_tokens(result: Result, info: ModelInfo, *, with_texts: bool) -> bytes:
    """A TokenizeReply as JSON bytes. Raises InternalError."""
    [text] = tokenized_texts(result)
    ids = ids_of(text)
    strings = [token.name for token in text.tokens] if with_texts else None
    return msgspec.json.encode(
        TokenizeReply(count=len(ids), max_model_len=info.max_tokens, tokens=ids, token_strs=strings)
    )


async def detokenize_job(asked: DetokenizeRequest, queue: Queue) -> DetokenizeJob:
    """Raises what `served_model` raises."""
    info = await served_model(asked.model, queue)
    return DetokenizeJob(info.id, info.task, (asked.tokens,))


def encode_text(result: Result) -> bytes:
    """A DetokenizeReply as JSON bytes. Raises InternalError."""
    [text] = texts_of(result)
    return msgspec.json.encode(DetokenizeReply(prompt=text, content=text))
