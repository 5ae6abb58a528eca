"""How a stream of OpenAI's is to be: stream_options."""

from typing import Annotated, Any, Literal

import msgspec

from api.requests.parameters import NoEffect
from jobs.errors import InvalidInput

UsageWanted = Literal["none", "end", "each"]
"""Not at all, in a last chunk, or in each chunk and the last."""


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """include_usage: the stream ends with the tokens used. continuous_usage_stats: vLLM's; with include_usage each
    chunk tells the tokens used so far.
    """

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: Annotated[Any, NoEffect("chunks are never padded")] = None


def check_stream_options(options: StreamOptions | None, stream: bool | None) -> None:
    """Raises InvalidInput for options without a stream."""
    if options is not None and not stream:
        raise InvalidInput("stream_options is only allowed with stream = true.", param="stream_options")


def wanted_usage(options: StreamOptions | None) -> UsageWanted:
    """Where a stream tells the tokens used."""
    if options is None or not options.include_usage:
        return "none"
    return "each" if options.continuous_usage_stats else "end"
