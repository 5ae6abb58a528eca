"""Ollama's body of a single prompt, turned into a job."""

from typing import Any

import msgspec

from api.dialects.ollama.messages import parts_of
from api.dialects.ollama.options import think_options
from api.dialects.ollama.request import OllamaRequest, load_job, ollama_job
from api.requests.images import ImageReference, ImageSource, load_images
from jobs.content import TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Message, Prompt


class OllamaGenerateRequest(OllamaRequest, frozen=True, kw_only=True):
    """The body of POST /api/generate. Fields it does not name are ignored. No prompt: the model is only loaded.

    raw: the prompt is read as it is; otherwise the chat template makes a chat of it. images: base64.
    """

    prompt: str | None = None
    system: str | None = None
    images: tuple[str, ...] | None = None
    raw: bool | None = None
    suffix: str | None = None
    template: str | None = None
    context: Any = None


async def ollama_generate_job(asked: OllamaGenerateRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    _refuse_unsupported(asked)
    if not (asked.prompt or asked.images):
        return load_job(asked)
    options = think_options(asked.think)
    job = ollama_job(asked, Prompt(asked.prompt or ""))
    # Images last: nothing is fetched for a request that is refused.
    references = [ImageReference(text, f"images[{index}]") for index, text in enumerate(asked.images or ())]
    images = await load_images(references, source)
    if asked.raw:
        prompt = Prompt(asked.prompt or "", images=tuple(images))
    else:
        question = Message("user", parts_of(asked.prompt or "", iter(images), asked.images))
        system = (Message("system", (TextPart(asked.system),)),) if asked.system else ()
        prompt = Chat((*system, question), template_options=options)
    return msgspec.structs.replace(job, prompt=prompt)


def _refuse_unsupported(asked: OllamaGenerateRequest) -> None:
    if asked.suffix:
        raise InvalidInput("suffix: text is only continued, not filled in.", param="suffix")
    if asked.template:
        raise InvalidInput(
            "template: the model's own chat template is used. Send raw = true and the prompt as it is to be read.",
            param="template",
        )
    if asked.context:
        raise InvalidInput(
            "context: earlier turns are not kept as tokens. Send them as messages to /api/chat.",
            param="context",
        )
    if asked.raw and asked.system:
        raise InvalidInput("system: a raw prompt holds everything; put it there.", param="system")
