"""OpenAI's system_fingerprint: it changes with what may change the answer to the same request with the same seed."""

import functools
import hashlib
import importlib.metadata


@functools.lru_cache(256)
def system_fingerprint(digest: str) -> str | None:
    """digest: of the model that has written the answer (jobs.models.ModelInfo). None where it is not known."""
    if not digest:
        return None
    version = importlib.metadata.version("mlxq")
    return "fp_" + hashlib.blake2b(f"{version} {digest}".encode(), digest_size=5).hexdigest()
