"""What a generator reads: a chat through the model's own template, or a prompt as it is."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mlx_lm.tokenizer_utils import TokenizerWrapper
from msgspec.structs import replace

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Message, Prompt, Tool
from workers.runners.generate.continued import marked, up_to_the_mark
from workers.runners.generate.fill_in import fill_in_ids
from workers.runners.generate.system_messages import has_several, merged, shows_all

# The prefixes that mlx-llm-server and mlx-lm give a model without a chat template.
ROLE_PREFIXES = {"system": "ASSISTANT's RULE: ", "user": "USER: ", "assistant": "ASSISTANT: ", "stop": "\n"}


class PromptInputs(NamedTuple):
    """A prompt as a model takes it."""

    ids: Sequence[int]
    image_inputs: Mapping[str, Any] | None = None
    """As in workers.runners.generate.answer.Answer."""


def prompt_ids(tokenizer: TokenizerWrapper, job: GenerateJob, vocab_size: int) -> list[int]:
    """The token ids of the job's prompt, at least one. Raises InvalidInput."""
    if isinstance(job.prompt, Prompt) and job.prompt.images:
        raise InvalidInput("This model reads text only, and the prompt has images.", param="images")
    if isinstance(job.prompt, Chat):
        ids = _chat_ids(tokenizer, job.prompt)
    elif job.prompt.suffix is not None:
        ids = _fill_in_ids(tokenizer, job.prompt, job.prompt.suffix)
    elif isinstance(job.prompt.content, str):
        ids = list(tokenizer.encode(job.prompt.content, add_special_tokens=job.prompt.special_tokens))
    else:
        ids = _known(job.prompt.content, vocab_size)
    if not ids and tokenizer.bos_token_id is not None:
        ids = [int(tokenizer.bos_token_id)]
    if not ids and not job.count_only:
        raise InvalidInput(
            "The prompt is empty.", param="messages" if isinstance(job.prompt, Chat) else "prompt"
        )
    return ids


def prompt_size(prompt: Chat | Prompt) -> int:
    """Characters of its texts, or how many token ids it is."""
    if isinstance(prompt, Prompt):
        return len(prompt.content) + len(prompt.suffix or "")
    return prompt.characters


def prompt_text(tokenizer: TokenizerWrapper, prompt: Prompt) -> str:
    """The prompt as text, for a caller who wants it before the answer."""
    content = prompt.content
    return content if isinstance(content, str) else tokenizer.decode(list(content), skip_special_tokens=False)


def tool_schemas(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Tools in OpenAI's form, which chat templates and mlx-lm's parsers expect."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": json.loads(tool.parameters),
            },
        }
        for tool in tools
    ]


def _fill_in_ids(tokenizer: TokenizerWrapper, prompt: Prompt, suffix: str) -> list[int]:
    if not isinstance(prompt.content, str):
        raise InvalidInput("suffix needs a prompt that is text.", param="suffix")
    backend: Any = tokenizer.backend_tokenizer
    return fill_in_ids(backend, prompt.content, suffix)


def _known(ids: Sequence[int], vocab_size: int) -> list[int]:
    if min(ids, default=0) < 0 or max(ids, default=0) >= vocab_size:
        raise InvalidInput(
            f"A token id is outside the model's vocabulary (0 to {vocab_size - 1}). "
            "Use the model's own tokenizer, or send text.",
            param="prompt",
        )
    return list(ids)


def _chat_ids(tokenizer: TokenizerWrapper, chat: Chat) -> list[int]:
    if any(isinstance(part, ImagePart) for message in chat.messages for part in message.content):
        raise InvalidInput("This model reads text only, and the messages hold an image.", param="messages")
    found = render(tokenizer, chat, message_text, tokenize=True)
    return list(tokenizer.encode(found) if isinstance(found, str) else found)


def render(
    tokenizer: TokenizerWrapper, chat: Chat, content: Callable[[Message], Any], *, tokenize: bool
) -> Any:
    """The chat through the model's template: token ids, or text where not to tokenize or where there is no template.

    content: what a message's content is for the template. Several messages of the system are one where the template
    takes no others. Raises InvalidInput.
    """
    if chat.tools and chat.tool_choice != "none" and not tokenizer.has_tool_calling:
        raise InvalidInput("This model cannot call tools: send the request without tools.", param="tools")
    if chat.role_mapping or not tokenizer.has_chat_template:
        return _with_prefixes(chat, content)
    if has_several(chat.messages) and not _takes_several(tokenizer, chat, content):
        chat = replace(chat, messages=merged(chat.messages))
    try:
        return _rendered(tokenizer, chat, content, tokenize=tokenize)
    except InvalidInput:
        raise
    except Exception as error:
        # Templates are programs from the model's makers; they refuse what they do not know in many ways. A schema
        # or an option may be nested deeper than Python reads.
        raise InvalidInput(
            f"The model's chat template cannot render these messages: {str(error)[:300]}.", param="messages"
        ) from error


def _takes_several(tokenizer: TokenizerWrapper, chat: Chat, content: Callable[[Message], Any]) -> bool:
    """Whether the template shows all messages of the system: some refuse others than the first, some leave them out."""
    try:
        rendered = _rendered(tokenizer, chat, content, tokenize=False)
    except Exception:  # noqa: BLE001 - as in `render`; if it is no matter of the system's messages, it comes again
        return False
    return shows_all(str(rendered), chat.messages)


def _rendered(
    tokenizer: TokenizerWrapper, chat: Chat, content: Callable[[Message], Any], *, tokenize: bool
) -> Any:
    """Arguments of earlier calls are in objects where the template refuses them. Raises whatever the template does."""
    try:
        return _through_template(tokenizer, chat, content, tokenize=tokenize)
    except Exception:
        changed = _with_objects(chat)
        if changed == chat:
            raise
        return _through_template(tokenizer, changed, content, tokenize=tokenize)


def _through_template(
    tokenizer: TokenizerWrapper, chat: Chat, content: Callable[[Message], Any], *, tokenize: bool
) -> Any:
    """Raises whatever the template does."""
    tools = tool_schemas(chat.tools) if chat.tool_choice != "none" else []
    options: dict[str, Any] = json.loads(chat.template_options)
    goes_on = chat.continue_final
    given = marked(chat) if goes_on else chat
    rendered = tokenizer.apply_chat_template(
        [_template_message(message, content) for message in given.messages],
        tools=tools or None,
        add_generation_prompt=chat.generation_prompt and not goes_on,
        tokenize=tokenize and not goes_on,
        **options,
    )
    if not goes_on:
        return rendered
    text = up_to_the_mark(str(rendered))
    return tokenizer.encode(text, add_special_tokens=False) if tokenize else text


def _template_message(message: Message, content: Callable[[Message], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": content(message)}
    if message.reasoning:
        found["reasoning_content"] = message.reasoning
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        found["name"] = message.name
    return found


def _arguments(text: str) -> Any:
    """As an object, which templates expect; as text where it is not JSON, which some templates print."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _with_objects(chat: Chat) -> Chat:
    """Arguments of earlier calls that are no objects, in one: some templates read nothing else."""
    return replace(
        chat,
        messages=tuple(
            replace(
                message,
                tool_calls=tuple(
                    call
                    if isinstance(_arguments(call.arguments), dict)
                    else replace(call, arguments=json.dumps({"arguments": call.arguments}))
                    for call in message.tool_calls
                ),
            )
            for message in chat.messages
        ),
    )


def message_text(message: Message) -> str:
    """A message's text, without its images."""
    return "".join(part.text for part in message.content if isinstance(part, TextPart))


def _with_prefixes(chat: Chat, content: Callable[[Message], Any]) -> str:
    prefixes = {**ROLE_PREFIXES, **chat.role_mapping} if chat.role_mapping else ROLE_PREFIXES
    turns = [f"{prefixes.get(each.role, '')}{content(each)}{prefixes['stop']}" for each in chat.messages]
    if chat.continue_final:
        return "".join(turns).removesuffix(prefixes["stop"])
    return ("".join(turns) + (prefixes["assistant"] if chat.generation_prompt else "")).rstrip()
