"""Fields of vLLM's bodies that are not built, or that no answer depends on: what several of its bodies have."""

from typing import Annotated, Any

import msgspec

from api.requests.answer_format import PUT_BESIDE
from api.requests.parameters import NoEffect, Refused

MmProcessorKwargs = Annotated[Any, Refused("the model's own image processor is used as it is. Leave it out.")]
MediaIoKwargs = Annotated[Any, Refused("how images are read cannot be chosen. Leave it out.")]
ChatTemplate = Annotated[
    Any, Refused("a request's own chat template is not run: the model's is used. Leave it out.")
]


CacheSalt = Annotated[Any, Refused("prompts share one prefix cache, which cannot be salted. Leave it out.")]
Priority = Annotated[
    Any, Refused("jobs of a queue have no priorities; /v1/jobs has lanes.", unless=(None, 0))
]
RequestId = Annotated[Any, NoEffect("a reply's id holds the id of its job")]


_LENGTH_1 = Refused("vectors have length 1.", unless=(None, True))


class PoolingFields(msgspec.Struct, frozen=True, kw_only=True):
    """Of bodies for embeddings and scores."""

    mm_processor_kwargs: MmProcessorKwargs = None
    cache_salt: CacheSalt = None
    priority: Priority = None
    request_id: RequestId = None
    truncation_side: Annotated[
        Any, Refused("where a text is cut cannot be chosen: at its end.", unless=(None, "right"))
    ] = None
    padding: Annotated[
        Any, Refused("texts are read as they are, without padding.", unless=(None, "do_not_pad"))
    ] = None
    extra_body: Annotated[Any, PUT_BESIDE] = None


class EmbeddingFields(PoolingFields, frozen=True, kw_only=True):
    """Of bodies for embeddings alone."""

    messages: Annotated[Any, Refused("chats are not embedded. Send input.")] = None
    add_special_tokens: Annotated[
        Any, Refused("a text is read with the tokenizer's special tokens.", unless=(None, True))
    ] = None
    use_activation: Annotated[Any, _LENGTH_1] = None
    normalize: Annotated[Any, _LENGTH_1] = None
    embed_dtype: Annotated[
        Any, Refused("base64 holds float32. Send output_dtype for fewer bytes.", unless=(None, "float32"))
    ] = None
    endianness: Annotated[Any, Refused("numbers are little-endian.", unless=(None, "native", "little"))] = (
        None
    )
    media_io_kwargs: MediaIoKwargs = None
    chat_template: ChatTemplate = None
