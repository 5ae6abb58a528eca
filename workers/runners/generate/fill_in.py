"""Fill-in-the-middle: what a model writes between a text and the one that is to follow.

The order is prefix, suffix, middle, as in Bavarian et al., Efficient Training of Language Models to Fill in the Middle
(2022). Models mark the three by tokens of their own. Code Llama and Codestral, whose tokenizers put a space before each
part, are not among the known ones.
"""

from typing import NamedTuple

from tokenizers import Tokenizer

from jobs.errors import InvalidInput
from workers.runners.tokens.tokenizer import special_tokens_around


class FillInTokens(NamedTuple):
    """What a model reads before the text, before what is to follow it, and where it is to write."""

    prefix: str
    suffix: str
    middle: str


_KNOWN = (
    FillInTokens("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma, Granite
    FillInTokens("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, SmolLM
    FillInTokens("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    FillInTokens("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    FillInTokens("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
)

_ENDS = (
    "<|fim_pad|>", "<fim_pad>", "<fim-pad>", "<|repo_name|>", "<repo_name>", "<|file_sep|>", "<file_sep>",
    "<|file_separator|>", "<filename>",
)  # fmt: skip
"""Where the file that is filled in is over: a model goes on with the next one, or with nothing."""


def fill_in_tokens(tokenizer: Tokenizer) -> FillInTokens | None:
    """None for a model that fills nothing in."""
    return next(
        (each for each in _KNOWN if all(tokenizer.token_to_id(name) is not None for name in each)), None
    )


def fill_in_ids(tokenizer: Tokenizer, text: str, suffix: str) -> list[int]:
    """The prompt's token ids. Raises InvalidInput for a model that fills nothing in."""
    tokens = fill_in_tokens(tokenizer)
    if tokens is None:
        raise InvalidInput(
            "This model only continues text: it has no tokens for filling in. Leave suffix out, or use a model "
            "that was trained to fill in.",
            param="suffix",
        )
    parts = f"{tokens.prefix}{text}{tokens.suffix}{suffix}{tokens.middle}"
    _, behind = special_tokens_around(tokenizer)
    return tokenizer.encode(parts).ids[: -len(behind) or None]


def fill_in_ends(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The tokens that end what is filled in, besides those that end every answer."""
    tokens = fill_in_tokens(tokenizer)
    names = (*(tokens or ()), *_ENDS)
    return tuple(name for name in names if tokenizer.token_to_id(name) is not None)
