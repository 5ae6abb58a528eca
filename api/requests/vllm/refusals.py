"""Fields of vLLM's bodies that are not built, or that no answer depends on: what several of its bodies have."""

from typing import Annotated, Any

import msgspec

from api.requests.parameters import NoEffect, Refused

MmProcessorKwargs = Annotated[Any, Refused("the model's own image processor is used as it is. Leave it out.")]
MediaIoKwargs = Annotated[Any, Refused("how images are read cannot be chosen. Leave it out.")]
ChatTemplate = Annotated[
    Any, Refused("a request's own chat template is not run: the model's is used. Leave it out.")
]


class CommonFields(msgspec.Struct, frozen=True, kw_only=True):
    """Of all of vLLM's bodies of work."""

    mm_processor_kwargs: MmProcessorKwargs = None
    cache_salt: Annotated[
        Any, Refused("prompts share one prefix cache, which cannot be salted. Leave it out.")
    ] = None
    priority: Annotated[
        Any, Refused("jobs of a queue have no priorities; /v1/jobs has lanes.", unless=(None, 0))
    ] = None
    request_id: Annotated[Any, NoEffect("a reply's id holds the id of its job")] = None


class PoolingFields(CommonFields, frozen=True, kw_only=True):
    """Of those for embeddings and scores."""

    truncation_side: Annotated[
        Any, Refused("where a text is cut cannot be chosen: at its end.", unless=(None, "right"))
    ] = None
    padding: Annotated[
        Any, Refused("texts are read as they are, without padding.", unless=(None, "do_not_pad"))
    ] = None
