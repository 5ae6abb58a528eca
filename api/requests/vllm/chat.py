"""vLLM's fields of chats: how the messages become a prompt."""

from typing import Annotated, Any

from api.requests.parameters import Refused
from api.requests.tools import JsonObject
from api.requests.vllm.generation import GenerationFields
from api.requests.vllm.refusals import ChatTemplate
from jobs.errors import InvalidInput


class ChatFields(GenerationFields, frozen=True, kw_only=True):
    """add_generation_prompt: false leaves the assistant's turn to the model. continue_final_message: the last message
    is the answer's beginning. documents: a variable of the chat template. add_special_tokens: besides those that the
    template writes.
    """

    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    documents: tuple[JsonObject, ...] | None = None
    chat_template: ChatTemplate = None
    echo: Annotated[Any, Refused("the last message is not put before the answer.")] = None
    include_reasoning: Annotated[
        Any, Refused("what the model has reasoned is told. Send enable_thinking.", unless=(None, True))
    ] = None
    return_prompt_text: Annotated[Any, Refused("the prompt's text is not told. Ask /tokenize.")] = None


def check_turns(asked: ChatFields, last_role: str | None) -> None:
    """last_role: of the last message. Raises InvalidInput where the fields contradict each other."""
    if not asked.continue_final_message:
        return
    if asked.add_generation_prompt:
        raise InvalidInput(
            "continue_final_message and add_generation_prompt exclude each other.",
            param="continue_final_message",
        )
    if last_role != "assistant":
        raise InvalidInput(
            "continue_final_message: the last message must be the assistant's.",
            param="continue_final_message",
        )
