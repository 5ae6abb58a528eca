"""Fields of OpenAI's chat body that are not built, and those that no answer depends on."""

from typing import Annotated, Any

from api.requests.parameters import NOTHING, NoEffect, Refused
from api.requests.vllm.chat import ChatFields

WHO_ASKS = NoEffect("no answer depends on who asks")
_CACHE = NoEffect("what begins as an earlier prompt did is read from the cache by itself")


class UnbuiltChat(ChatFields, frozen=True, kw_only=True):
    """What a chat may say besides; ChatRequest has the rest."""

    audio: Annotated[Any, Refused("answers are text only.")] = None
    modalities: Annotated[Any, Refused("answers are text only.", unless=(*NOTHING, ["text"]))] = None
    functions: Annotated[Any, Refused("it is OpenAI's old form and not read. Send tools.")] = None
    function_call: Annotated[
        Any,
        Refused("it is OpenAI's old form and not read. Send tool_choice.", unless=(*NOTHING, "auto", "none")),
    ] = None
    verbosity: Annotated[
        Any,
        Refused(
            "models are not told how much to write but by the messages. Say it there.",
            unless=(*NOTHING, "medium"),
        ),
    ] = None
    web_search_options: Annotated[
        Any,
        Refused("nothing is searched. Send a tool that searches.", unless=(None,)),
    ] = None
    include_server_side_tool_invocations: Annotated[
        Any, Refused("no tools are run here. Send yours, and run them yourself.")
    ] = None
    moderation: Annotated[Any, Refused("nothing is moderated.")] = None
    prediction: Annotated[Any, NoEffect("a prediction makes an answer faster, not another one")] = None
    prompt_cache_key: Annotated[Any, _CACHE] = None
    prompt_cache_options: Annotated[Any, _CACHE] = None
    prompt_cache_retention: Annotated[Any, _CACHE] = None
    service_tier: Annotated[Any, NoEffect("there is one tier")] = None
    safety_identifier: Annotated[Any, WHO_ASKS] = None
    user: Annotated[Any, WHO_ASKS] = None
