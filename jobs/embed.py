"""Embedding: what is asked, and the vectors that come back."""

from typing import Literal

import msgspec

from jobs.content import MixedInput

Truncate = Literal["none", "start", "end"]
"""What becomes of an input over the model's limit: "none" is an error, "end" drops tokens at the end, "start" at the
start. Special tokens and the prompt are kept.
"""

InputType = Literal["query", "document"]


class EmbedJob(msgspec.Struct, frozen=True, omit_defaults=True, tag="embed", tag_field="task"):
    """Turn every input into one vector or, by a multi-vector model, into one for each of its tokens or patches."""

    model: str
    inputs: tuple[str | tuple[int, ...] | MixedInput, ...]
    """Texts, or token ids of the model's own tokenizer (with or without its special tokens), or images with texts.
    Empty: the model is only loaded.
    """
    dimensions: int | None = None
    """Matryoshka cut: the vector is cut to this many values and renormalised. None: the model's own size."""
    truncate: Truncate = "none"
    max_tokens: int | None = None
    """Longest text, special tokens and the prompt included; what is longer becomes what `truncate` says. None, or more
    than the model reads: the model's own limit. Inputs with images are held to that one alone.
    """
    prompt_name: str | None = None
    """A key of the model's prompts (config_sentence_transformers.json), put before each text."""
    instruction: str | None = None
    """A task description, for instruction-tuned models. Excludes prompt_name."""
    input_type: InputType | None = None
    """For models that treat queries and documents differently. None: an input with images is a document, and a text
    is what the model takes it for by itself.
    """
    keep_alive_s: float | None = None
    """How long the model stays loaded after this; infinity: for ever; None: as long as was said before, or the server's
    own setting says.
    """


class PatchGrid(msgspec.Struct, frozen=True):
    """Where an image's vectors are: rows * columns of them, row by row."""

    first: int
    """Number of its first vector among its input's."""
    rows: int
    columns: int


class EmbedResult(msgspec.Struct, frozen=True, tag="embed_result", omit_defaults=True):
    """Unit-length vectors in the inputs' order."""

    dimensions: int
    vectors: bytes
    """Float32, little-endian, C order, shape (vectors, dimensions)."""
    tokens: tuple[int, ...]
    """Tokens the model read for each input, special tokens and prompt included."""
    counts: tuple[int, ...] = ()
    """Vectors of each input, of a multi-vector model. Empty: one each."""
    grids: tuple[tuple[PatchGrid, ...], ...] = ()
    """Of each input's images, of a multi-vector model. Empty for texts alone."""
    load_s: float = 0.0
    """How long the job waited for its model to be loaded."""
