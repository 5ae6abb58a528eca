"""How a stream of OpenAI's is to be: stream_options."""

from typing import Annotated, Any

import msgspec

from api.requests.parameters import NoEffect
from jobs.errors import InvalidInput


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """include_usage: the stream ends with the tokens used."""

    include_usage: bool | None = None
    include_obfuscation: Annotated[Any, NoEffect("chunks are never padded")] = None


def check_stream_options(options: StreamOptions | None, stream: bool | None) -> None:
    """Raises InvalidInput for options without a stream."""
    if options is not None and not stream:
        raise InvalidInput("stream_options is only allowed with stream = true.", param="stream_options")


def wants_usage(options: StreamOptions | None) -> bool:
    """Whether the stream ends with the tokens used."""
    return options is not None and bool(options.include_usage)
