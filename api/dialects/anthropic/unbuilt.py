"""Parameters of Anthropic's bodies that are not built, and those that no answer depends on."""

from typing import Annotated, Any

import msgspec

from api.requests.answer_format import OtherFormats
from api.requests.parameters import NOTHING, NoEffect, Refused

_NO_OP = "clear_thinking_20251015"
_BILLS = NoEffect("nobody is billed")


class _Edits(msgspec.Struct, frozen=True):
    edits: tuple[dict[str, Any], ...] = ()


def _edits_nothing(given: Any) -> bool:
    """Whether all edits keep all thoughts, as Claude Code's do."""
    try:
        edits = msgspec.convert(given, _Edits).edits
    except msgspec.ValidationError:
        return False
    return all(each.get("type") == _NO_OP and each.get("keep") in ("all", {"type": "all"}) for each in edits)


class Unbuilt(OtherFormats, frozen=True, kw_only=True):
    """What a message, or a count of its tokens, may say besides. What is refused is taken where it asks for nothing."""

    compaction: Annotated[
        Any, Refused("earlier turns are not summarised. Leave them out instead.", unless=(None,))
    ] = None
    container: Annotated[Any, Refused("no code is run here.")] = None
    context_management: Annotated[
        Any,
        Refused(
            "earlier turns are not edited here. Leave out what the model is not to read.",
            or_if=_edits_nothing,
        ),
    ] = None
    fallbacks: Annotated[
        Any,
        Refused("no other model answers for this one. Send the request again, with another model."),
    ] = None
    inference_geo: Annotated[
        Any,
        Refused(
            "there is one place, where this server runs. Send global, or leave it out.",
            unless=(*NOTHING, "global"),
        ),
    ] = None
    mcp_servers: Annotated[
        Any, Refused("servers of tools are not called here. Send their tools, and call them yourself.")
    ] = None
    safeguards: Annotated[
        Any, Refused("no classifier reads the calls of tools. Leave it out, and check them yourself.")
    ] = None
    speed: Annotated[Any, Refused("there is one speed, standard.", unless=(*NOTHING, "standard"))] = None
    thread: Annotated[Any, Refused("no threads are kept. Send the earlier messages.")] = None
    billing_policy: Annotated[Any, _BILLS] = None
    fallback_credit_token: Annotated[Any, _BILLS] = None
    diagnostics: Annotated[Any, NoEffect("the reply has none")] = None
    metadata: Annotated[Any, NoEffect("no answer depends on who asks")] = None
