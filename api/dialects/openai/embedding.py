"""OpenAI's embedding body: used by its own endpoint and by /v1/jobs."""

from typing import Annotated

import msgspec

from api.dialects.openai.embedding_reply import EmbeddingForm
from api.replies.vector_formats import Encoding, OutputDtype
from api.requests.images import ImageSource
from api.requests.inputs import MixedInputs, check_ids, may_be_image, split_mixed_inputs
from api.requests.multimodal import load_inputs
from api.work.queue import Queue
from jobs.content import MixedInput
from jobs.embed import EmbedJob, InputType, Truncate
from jobs.errors import InvalidInput


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/embeddings. Fields it does not name are ignored, as OpenAI's clients may send any.

    truncate: true means "end", false "none". image_url: an image that goes with each text. patch_grids: say where an
    image's vectors are.
    """

    model: str
    input: MixedInputs
    encoding_format: Encoding | None = None
    output_dtype: OutputDtype = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    user: str | None = None
    prompt_name: str | None = None
    instruction: str | None = None
    input_type: InputType | None = None
    truncate: bool | Truncate = "none"
    image_url: str | None = None
    patch_grids: bool = False

    @property
    def form(self) -> EmbeddingForm:
        """How the reply's vectors are written."""
        return EmbeddingForm(self.encoding_format, self.output_dtype, self.patch_grids)


async def embed_job(
    request: EmbeddingRequest, max_inputs: int, queue: Queue, source: ImageSource | None
) -> EmbedJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    if request.prompt_name is not None and request.instruction is not None:
        raise InvalidInput("instruction and prompt_name exclude each other.", param="instruction")
    truncate = request.truncate
    if isinstance(truncate, bool):
        truncate = "end" if truncate else "none"
    given = split_mixed_inputs(request.input, max_inputs, "input")
    if truncate == "none":
        await check_ids(queue, request.model, given, "input")
    inputs: tuple[str | tuple[int, ...] | MixedInput, ...]
    if request.image_url is None and not any(map(may_be_image, given)):
        inputs = given  # pyright: ignore[reportAssignmentType]: no objects among them
    else:
        inputs = await load_inputs(queue, request.model, given, request.image_url, source)
    return EmbedJob(
        model=request.model,
        inputs=inputs,
        dimensions=request.dimensions,
        truncate=truncate,
        prompt_name=request.prompt_name,
        instruction=request.instruction,
        input_type=request.input_type,
    )
