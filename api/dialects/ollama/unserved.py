"""Endpoints of Ollama's that are answered 501, with what to do instead."""

from functools import partial

from api.dialects.ollama.chat import OLLAMA_ERRORS
from api.dialects.unserved import Unserved
from api.errors import NotServed

_NO_FILES = (
    "Files of models are not sent here. `mlxq pull` brings a model onto a machine, from a hub or a folder."
)

_unserved = partial(Unserved, errors_as=OLLAMA_ERRORS, refusal=NotServed)

UNSERVED = (
    _unserved(
        "/api/push",
        "ollama_push",
        "Models are not pushed from here. Upload the model's folder with the tools of its hub.",
    ),
    _unserved(
        "/v1/systemone",
        "ollama_systemone",
        "System One models are not served. Ask a chat model in the format of a JSON schema, or a reranker.",
    ),
    _unserved("/api/blobs/{digest}", "ollama_send_blob", _NO_FILES),
    _unserved("/api/blobs/{digest}", "ollama_find_blob", _NO_FILES, method="GET"),
)
"""Ollama's program asks for a blob by HEAD, which goes where GET does."""
