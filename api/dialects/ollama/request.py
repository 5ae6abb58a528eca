"""What Ollama's two bodies of text generation have in common, and the job of one without a prompt."""

from typing import Annotated

import msgspec

from api.dialects.ollama.options import (
    Format,
    KeepAlive,
    OllamaOptions,
    Think,
    keep_alive_s,
    max_tokens_of,
    ollama_format,
    ollama_sampling,
)
from api.requests.answer_format import OtherFormats, refuse_given
from api.requests.sampling import stops
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Prompt


class OllamaRequest(OtherFormats, frozen=True, kw_only=True):
    """keep_alive: seconds, or a duration such as "5m". stream: true unless said otherwise."""

    model: str
    format: Format | None = None
    options: OllamaOptions | None = None
    think: Think | None = None
    keep_alive: KeepAlive | None = None
    stream: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None


def ollama_job(asked: OllamaRequest, prompt: Chat | Prompt) -> GenerateJob:
    """The job without the parts that only one of the bodies has. Raises InvalidInput naming the field."""
    options = asked.options or OllamaOptions()
    refuse_given(asked, OtherFormats.__struct_fields__, "format")
    refuse_given(options, ("format", "json_schema", "grammar"), "format beside the options")
    if asked.top_logprobs and not asked.logprobs:
        raise InvalidInput("top_logprobs needs logprobs = true.", param="top_logprobs")
    return GenerateJob(
        model=asked.model,
        prompt=prompt,
        sampling=ollama_sampling(options),
        max_tokens=max_tokens_of(options),
        stop=stops(options.stop, "options.stop"),
        format=ollama_format(asked.format),
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        stream=asked.stream is not False,
        keep_alive_s=keep_alive_s(asked.keep_alive),
    )


def load_job(asked: OllamaRequest) -> GenerateJob:
    """For a request without a prompt, which only loads or, with keep_alive 0, unloads the model."""
    return GenerateJob(
        model=asked.model, prompt=Prompt(""), keep_alive_s=keep_alive_s(asked.keep_alive), count_only=True
    )
